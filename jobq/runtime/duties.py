"""Tasks that one worker does for all, with code from the operators' side (`observe` and `operate`).

`jobq run` passes them in as functions, so the worker does not import that code.
"""

from collections.abc import Callable
from dataclasses import dataclass


def nothing() -> None:
    """A worker that was started without duties."""


@dataclass(frozen=True, slots=True)
class Duties:
    do_waiting_retries: Callable[[], None] = nothing
    tell_alerts: Callable[[], None] = nothing


NO_DUTIES = Duties()
