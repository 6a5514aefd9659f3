"""An entry of the palette: an action, or why it is not possible now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    keys: str
    words: str
    help: str
    off: str | None  # why the action is not possible now
    run: Callable[[], Any]
