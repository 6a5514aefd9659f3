"""What any one worker does for all besides running jobs, where the code for it belongs to the operators' side.

`jobq run` gives them: the worker imports nothing of what the command line and the console show.
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
