"""An entry of the palette: something that can be done, or why it cannot be done now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    keys: str
    words: str
    help: str
    off: str | None  # why it cannot be done now
    run: Callable[[], Any]
