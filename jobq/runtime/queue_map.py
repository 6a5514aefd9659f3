"""Where to enter each queue that may hold something, and which queues are known to be empty. Runs no queries."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.store.claiming import QueuePosition

BARREN_SECONDS = 1.0
"""A queue with pending jobs, but none for this worker, is skipped for this long."""

FRONT_EVERY_SECONDS = 0.1
"""While a queue is read from the end of the last claim, its front is looked at this often …"""

FRONT_SHARE = 20
"""… or less often, so that these looks take one twentieth of the time if dead entries make them slow."""

SLOW_FRONT_SECONDS = 0.01
SLOW_FRONT_SECONDS_PER_JOB = 0.0001
"""If a look at the front takes longer, it passes rows that an open transaction keeps from being vacuumed."""


@dataclass(slots=True)
class QueueFront:
    """What is known about the front of a queue."""

    look_at: float = 0.0  # when it is time for another look
    is_slow: bool = False  # the last look was slow
    empty_at: float = -inf  # when the last look that found nothing began


class QueueMap:
    """The queues of one claimer. Times are this machine's monotonic clock.

    Rows that an open transaction elsewhere keeps from being vacuumed pile up at a queue's front, so each ended job
    makes the way from there longer. So a claim continues where the last one ended. Jobs that come in ahead of that (a
    higher priority, a retry) are found at the next look at the front.
    """

    def __init__(self, choice: QueueChoice) -> None:
        self._choice = choice
        self.empty_look_began: float | None = None  # when the last look that found nothing began
        self._active: dict[str, QueuePosition] = {}
        self._left: dict[str, QueuePosition] = {}  # where to continue in queues with slow fronts
        self._fronts: defaultdict[str, QueueFront] = defaultdict(QueueFront)
        self._barren_until: dict[str, float] = {}  # queues with pending jobs, but none for us
        self._turn = 0

    def works(self, queue: str) -> bool:
        return queue in self._choice

    @property
    def is_active(self) -> bool:
        """Whether some queue may hold something."""
        return bool(self._active)

    def is_left(self, queue: str) -> bool:
        """Whether its front is slow, so that it is entered further on."""
        return queue in self._left

    # Coming in

    def forget_positions(self) -> None:
        self._active.clear()
        self._left.clear()

    def look_at_fronts(self) -> None:
        """The next claims start at the fronts."""
        for front in self._fronts.values():
            front.look_at = 0.0

    def enter(self, queue: str) -> None:
        self._active.setdefault(queue, self._left.pop(queue, QueuePosition(queue)))

    def enter_hinted(self, queue: str, now: float) -> None:
        """New jobs lie behind everything that was seen, so a slow front can wait."""
        if queue in self._left and self.empty_look_began is not None:
            front = self._fronts[queue]
            front.look_at = max(front.look_at, now + FRONT_EVERY_SECONDS)
        self.enter(queue)

    def enter_found(self, queues: Collection[str]) -> None:
        """These queues have pending jobs, anywhere."""
        for queue in filter(self.works, queues):
            self.enter(queue)
            self._fronts[queue].look_at = 0.0

    # Claiming

    def positions(self, now: float) -> list[QueuePosition]:
        """Where to enter the queues: where the last claim ended, and from time to time at the front again."""
        return [
            QueuePosition(queue, last_turn=position.last_turn) if now >= self._fronts[queue].look_at else position
            for queue, position in self._active.items()
        ]

    def learn(
        self,
        positions: Sequence[QueuePosition],
        claimed: Sequence[Assignment],
        *,
        wanted: int,
        began: float,
        took: float,
    ) -> None:
        """Notes which queues are empty, and where the next claim of the others may start."""
        self._turn += 1
        last = {assignment.queue: assignment for assignment in claimed}  # the last one in the order of service
        is_cut = len(claimed) >= wanted
        for position in positions:
            front = self._fronts[position.queue]
            if position.queue in last:
                self._advance(last[position.queue], is_cut=is_cut)
            if position.is_front:
                front.look_at = began + max(FRONT_EVERY_SECONDS, FRONT_SHARE * took)
                front.is_slow = is_slow(took, len(claimed))
            if is_cut:
                continue
            # Fewer than wanted: fronts ahead of the positions are worth a look now, unless they are slow.
            if not front.is_slow:
                front.look_at = 0.0
            if position.queue not in last:
                self._learn_empty(position, front, began, is_barren=not claimed)

    def _advance(self, last: Assignment, *, is_cut: bool) -> None:
        before, reached = self._active[last.queue], QueuePosition(last.queue, last.priority, last.id, self._turn)
        self._active[last.queue] = reached if is_cut else further(before, reached)

    def _learn_empty(self, position: QueuePosition, front: QueueFront, began: float, *, is_barren: bool) -> None:
        """Nothing was found from that position on."""
        queue = position.queue
        if position.is_front:
            front.empty_at = began
        if front.is_slow:
            self._left[queue] = self._active.pop(queue)
            if not position.is_front:
                self.empty_look_began = None  # until its front was looked at
        elif position.is_front:
            del self._active[queue], self._fronts[queue]
            if is_barren:
                self._barren_until[queue] = began + BARREN_SECONDS

    # Looking around

    def left_alone(self, now: float) -> set[str]:
        """Queues whose slow fronts are not looked at yet."""
        return {queue for queue in self._left if now < self._fronts[queue].look_at}

    def known(self, now: float) -> set[str]:
        """Queues that a look around need not report."""
        barren = {queue for queue, until in self._barren_until.items() if now < until}
        return {*self._active, *self.left_alone(now), *barren}

    def learn_of_fronts(self, left_alone: Collection[str], *, began: float, took: float, promoted: int) -> None:
        """Fronts that were slow are looked at again after a while. For the others no position is kept."""
        for queue in self._left.keys() - left_alone:
            if is_slow(took, promoted):
                front = self._fronts[queue]
                front.look_at = began + FRONT_SHARE * took
                front.empty_at = began
            else:
                del self._left[queue], self._fronts[queue]

    # Nothing found

    def is_proven(self, began: float) -> bool:
        """Whether a look that began then skipped no queue because of an earlier look: such a queue may hold by now jobs
        that a child gave back when it died. The next look skips none."""
        is_proven = all(until - BARREN_SECONDS >= began for until in self._barren_until.values())
        self._barren_until.clear()
        return is_proven

    def learn_all_empty(self, began: float) -> float | None:
        """A look that began then has found nothing. Returns when to look at fronts that it passed over."""
        unseen = [self._fronts[queue].look_at for queue in self._left if self._fronts[queue].empty_at < began]
        if not unseen:
            self.empty_look_began = began
        return min(unseen) if unseen and self.empty_look_began is None else None


def further(first: QueuePosition, second: QueuePosition) -> QueuePosition:
    """The position that is served later, of two in one queue."""
    return first if not first.is_front and (-first.priority, first.id) > (-second.priority, second.id) else second


def is_slow(seconds: float, jobs: int) -> bool:
    """Whether a look took longer than this number of jobs explains."""
    return seconds > SLOW_FRONT_SECONDS + SLOW_FRONT_SECONDS_PER_JOB * jobs
