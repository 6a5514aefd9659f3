"""The claimed jobs that have not been sent to a child: limited in number, and given back if no child becomes free.

The preparer, which loads large arguments, limits their bytes.
"""

from collections import deque
from collections.abc import Iterable
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.dispatcher import RECALL_AFTER_SECONDS, Dispatcher
from jobq.runtime.isolation import Isolation
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer

STOCK_SECONDS = 0.05
"""The stock of claimed jobs is about this many seconds of work for all children."""

STALE_SECONDS = 0.5
"""Jobs that got no child in this time are given back: another worker may have one."""


class Stock:
    """Jobs wait here in the order of service: plain ones and coroutines, and those that are prepared or run alone."""

    def __init__(self, dispatcher: Dispatcher, ownership: Ownership, preparer: Preparer, max_losses: int) -> None:
        self.plain: deque[Assignment] = deque()
        self.coroutines: deque[Assignment] = deque()
        self.coroutine_classes: frozenset[str] = frozenset()  # those that children run side by side
        self.preparer = preparer
        self.isolation = Isolation(dispatcher, ownership, preparer.begin, self._is_coroutine, max_losses=max_losses)
        self._dispatcher = dispatcher
        self._moved_at = monotonic()

    # Coming in

    def add(self, batch: list[Assignment]) -> None:
        """Jobs that can be handed out as they are."""
        if self.coroutine_classes:
            self.coroutines.extend(assignment for assignment in batch if self._is_coroutine(assignment))
            batch = [assignment for assignment in batch if not self._is_coroutine(assignment)]
        self.plain.extend(batch)
        self._moved_at = monotonic()

    def add_prepared(self) -> None:
        """Jobs that the preparer has finished."""
        if prepared := self.preparer.take():
            self.isolation.add([assignment for assignment in prepared if assignment.suspected])
            self.add([assignment for assignment in prepared if not assignment.suspected])
        if begun := self.preparer.take_begun():
            self.isolation.begun(begun)

    def put_back(self, assignments: list[Assignment]) -> None:
        """Jobs that a child returned unstarted go back to the front, in their order."""
        if suspects := [assignment for assignment in assignments if assignment.suspected]:
            assignments = [assignment for assignment in assignments if not assignment.suspected]
            self.isolation.add(suspects)
        if coroutines := [assignment for assignment in assignments if self._is_coroutine(assignment)]:
            assignments = [assignment for assignment in assignments if not self._is_coroutine(assignment)]
            self.coroutines.extendleft(reversed(coroutines))
        self.plain.extendleft(reversed(assignments))

    def _is_coroutine(self, assignment: Assignment) -> bool:
        return assignment.id > 0 and assignment.job_class in self.coroutine_classes

    # What waits

    @property
    def set_apart(self) -> int:
        """The number of jobs that are being prepared, or wait to run alone."""
        return self.preparer.held + len(self.isolation)

    @property
    def is_empty(self) -> bool:
        return not (self.plain or self.coroutines or self.set_apart)

    @property
    def is_stale(self) -> bool:
        """Whether no child has become free for a while, though jobs wait."""
        now = monotonic()
        is_moving = not self.plain or self._dispatcher.free()
        if is_moving and (not self.coroutines or self._dispatcher.free_for_coroutines()):
            self._moved_at = now
        return self.isolation.is_stuck or now - self._moved_at > STALE_SECONDS

    # Going out

    def hand_out(self) -> None:
        """Gives children as much as they have room for, and takes back jobs that would wait too long."""
        self.isolation.turn(keep_one=bool(self.plain))
        self._dispatcher.dispatch(self.plain)
        if self.coroutines:
            self._dispatcher.dispatch_coroutines(self.coroutines)
        self._dispatcher.rebalance()

    def withdraw(self, job_id: int, attempt: int) -> Assignment | None:
        """Takes a job that no child has out of wherever it waits."""
        for waiting in (self.plain, self.coroutines):
            if (assignment := find(waiting, job_id, attempt)) is not None:
                waiting.remove(assignment)
                return assignment
        if unloaded := self.preparer.withdraw((job_id, attempt)):
            return unloaded[0]
        return self.isolation.withdraw(job_id, attempt)

    def take_all(self) -> tuple[list[Assignment], list[Assignment]]:
        """Everything that waits: plain jobs, and coroutines."""
        if self.set_apart:
            self.add([*self.isolation.withdraw_all(), *self.preparer.take(), *self.preparer.withdraw()])
        plain, coroutines = list(self.plain), list(self.coroutines)
        self.plain.clear()
        self.coroutines.clear()
        return plain, coroutines

    def drop_all(self) -> None:
        """Forgets everything: the jobs belong to another worker now."""
        self.plain.clear()
        self.coroutines.clear()
        self.preparer.drop_all()
        self.isolation.withdraw_all()


def find(waiting: Iterable[Assignment], job_id: int, attempt: int) -> Assignment | None:
    return next((one for one in waiting if (one.id, one.attempt) == (job_id, attempt)), None)


def max_waiting(
    mean_seconds: float | None, seconds_at_current: float | None, *, processes: int, limit_per_process: int
) -> int:
    """How many jobs may wait: none if they are long, hundreds if they are short."""
    if mean_seconds is None:
        return 0
    seconds = mean_seconds
    if seconds_at_current is not None and seconds_at_current > RECALL_AFTER_SECONDS:
        seconds = max(seconds, seconds_at_current)  # before that, its end may only not be known yet
    return min(limit_per_process * processes, int(STOCK_SECONDS * processes / max(seconds, 1e-6)))
