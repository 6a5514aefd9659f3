"""The supervisor's notes on a job that runs in a child, and on orders to end it."""

from dataclasses import dataclass
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.protocol import Order


@dataclass(slots=True)
class Interruption:
    """An order to end a job: it has been sent, and the job is killed if it does not obey."""

    order: Order
    assignment: Assignment
    grace: float
    kill_at: float
    tell_again_at: float = 0.0
    stack: str = ""  # what the job was doing when it was told
    is_stack_asked: bool = False  # for a coroutine: before its process is killed


@dataclass(slots=True)
class Running:
    """A job that runs, as far as known. It may have been told to end."""

    assignment: Assignment
    since: float
    interruption: Interruption | None = None
    stack_asked_at: float | None = None  # for a coroutine: when its event loop was asked

    @property
    def is_over_time(self) -> bool:
        timeout = self.assignment.timeout
        return self.interruption is None and timeout is not None and monotonic() - self.since > timeout
