"""What a supervisor notes of a job that runs in a child, and of its being told to end."""

from dataclasses import dataclass
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.protocol import Order


@dataclass(slots=True)
class Interruption:
    """A job is to end before its own end: it has been told, and is killed where it does not obey."""

    order: Order
    assignment: Assignment
    grace: float
    kill_at: float
    tell_again_at: float = 0.0
    stack: str = ""  # what it was doing when it was told
    is_stack_asked: bool = False  # of a coroutine: before its process is killed


@dataclass(slots=True)
class Running:
    """A job that runs, as far as can be known. It may have been told to end."""

    assignment: Assignment
    since: float
    interruption: Interruption | None = None
    stack_asked_at: float | None = None  # of a coroutine, whose event loop is to answer

    @property
    def is_over_time(self) -> bool:
        timeout = self.assignment.timeout
        return self.interruption is None and timeout is not None and monotonic() - self.since > timeout
