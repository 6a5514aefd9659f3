"""Runs suspected jobs: each alone in a process, after its begin was committed.

A job is suspected after an attempt of it was lost, or may have been. If it kills its worker again at once, its
committed begin is the proof, and jobs beside it that had not begun are not blamed. A job that would rest after one more
loss runs while no other suspect does: then no other suspect can have killed the worker.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.dispatcher import Dispatcher
from jobq.runtime.ownership import Ownership
from jobq.runtime.supervised import Child

STUCK_SECONDS = 0.5
"""Suspects that got no process in this time are given back: another worker may have one."""


class Isolation:
    """The suspects of one worker, until they are handed out. `begin` has their begins committed.

    waiting → reserved (its process gets nothing else) → beginning (the process is empty) → sent

    No suspect begins before the end of the last one is recorded: that one would count as lost if the new one killed
    this worker.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        ownership: Ownership,
        begin: Callable[[Sequence[Assignment]], None],
        is_coroutine: Callable[[Assignment], bool],
        *,
        max_losses: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._ownership = ownership
        self._begin = begin
        self._is_coroutine = is_coroutine
        self._max_losses = max_losses
        self._waiting: deque[Assignment] = deque()
        self._reserved: dict[Child, Assignment] = {}
        self._beginning: dict[Child, Assignment] = {}
        self._sent: dict[Child, Assignment] = {}
        self._moved_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._reserved) + len(self._beginning)

    def add(self, suspects: Iterable[Assignment]) -> None:
        """Takes suspects that were claimed, or that came back from their processes unstarted."""
        if not self:
            self._moved_at = monotonic()
        self._waiting += suspects
        back = {(suspect.id, suspect.attempt) for suspect in self._waiting}
        self._release(child for child, held in list(self._sent.items()) if (held.id, held.attempt) in back)

    def turn(self, *, keep_one: bool = False) -> None:
        """Brings suspects one step further, as far as processes are free. `keep_one` leaves one for ordinary jobs that
        wait."""
        if self._sent:
            self._release_ended()
        if not self or any(not child.is_at_work for child in self._sent):
            return
        self._leave_closed(self._reserved)
        self._leave_closed(self._beginning)
        while self._waiting and (child := self._dispatcher.reserve(keep_one=keep_one)) is not None:
            self._reserved[child] = self._waiting.popleft()
        if empty := self._may_begin([child for child in self._reserved if not child.is_at_work]):
            self._moved_at = monotonic()
            self._beginning |= {child: self._reserved.pop(child) for child in empty}
            self._begin([self._beginning[child] for child in empty])

    def _may_begin(self, empty: list[Child]) -> list[Child]:
        """The suspects in empty processes that may begin now, beside those that have begun."""
        at_work = [*self._sent.values(), *self._beginning.values()]
        if any(map(self._has_last_chance, at_work)):
            return []
        together = [child for child in empty if not self._has_last_chance(self._reserved[child])]
        return together if at_work or together else empty[:1]

    def _has_last_chance(self, suspect: Assignment) -> bool:
        return suspect.losses + 1 >= self._max_losses

    def begun(self, suspects: Iterable[Assignment]) -> None:
        """Hands out suspects whose begin was committed. If the process has gone meanwhile, the suspect starts over."""
        for suspect in suspects:
            child = next((child for child, held in self._beginning.items() if held is suspect), None)
            if child is None:
                continue
            del self._beginning[child]
            self._moved_at = monotonic()
            if self._dispatcher.send_alone(child, suspect, is_coroutine=self._is_coroutine(suspect)):
                self._sent[child] = suspect
            else:
                child.is_reserved = False
                self._waiting.appendleft(suspect)

    def withdraw(self, job_id: int, attempt: int) -> Assignment | None:
        """Takes one back that has not been handed out."""
        for suspect in (*self._waiting, *self._reserved.values(), *self._beginning.values()):
            if (suspect.id, suspect.attempt) == (job_id, attempt):
                self._waiting = deque(one for one in self._waiting if one is not suspect)
                self._free([child for child, held in self._held() if held is suspect])
                return suspect
        return None

    def withdraw_all(self) -> list[Assignment]:
        """Takes all back that have not been handed out."""
        taken = [*self._reserved.values(), *self._beginning.values(), *self._waiting]
        self._free([child for child, _ in self._held()])
        self._waiting.clear()
        return taken

    @property
    def is_stuck(self) -> bool:
        """Whether no process has come free for any suspect in a while."""
        return bool(self._waiting or self._reserved) and monotonic() - self._moved_at > STUCK_SECONDS

    def _held(self) -> list[tuple[Child, Assignment]]:
        return [*self._reserved.items(), *self._beginning.items()]

    def _free(self, children: Iterable[Child]) -> None:
        for child in children:
            child.is_reserved = False
            self._reserved.pop(child, None)
            self._beginning.pop(child, None)

    def _release_ended(self) -> None:
        self._release(
            child
            for child, held in list(self._sent.items())
            if not child.is_at_work and not self._ownership.holds((held.id, held.attempt))
        )

    def _release(self, children: Iterable[Child]) -> None:
        for child in children:
            child.is_reserved = False
            del self._sent[child]

    def _leave_closed(self, held: dict[Child, Assignment]) -> None:
        """Processes that take no more jobs are not waited for."""
        for child in [child for child in held if not self._dispatcher.is_usable(child)]:
            child.is_reserved = False
            self._waiting.appendleft(held.pop(child))
