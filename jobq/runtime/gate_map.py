"""The gates at which something waits, and what is known of each. Asks nothing itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from jobq.runtime.service import jittered
from jobq.store.claiming import LanePosition, Passed

FULL_SECONDS = 0.02
"""A gate that was full, or at which others were, is tried again after this time …"""

LONGEST_FULL_SECONDS = 0.25
"""… and, each time in vain, after twice as long, up to this. A freed place is told; this is for what was not heard."""

TAKEN_SECONDS = 0.001
"""Another claim was under way at this gate."""

MAX_CUT_WALKS = 100
"""So many walks over lanes that are all full follow each other without a pause."""

MAX_QUEUES = 10
"""Maximum number of queues that one claim walks; the next claim has the next ones."""


@dataclass(slots=True)
class GateFront:
    """One gate. Times are this machine's monotonic clock."""

    name: str
    positions: dict[str, LanePosition] = field(default_factory=dict)
    min_place: int = 0  # every place that is taken is at least this
    try_at: float = 0.0
    pause: float = FULL_SECONDS
    cut_walks: int = 0
    may_start: bool = True  # the last claim does not say that nothing can start here
    has_room: bool = False  # the last claim left places free that nobody of this worker took

    def next_positions(self) -> list[LanePosition]:
        """The queues to be walked next. Those that are walked go to the end."""
        chosen = list(self.positions)[:MAX_QUEUES]
        for queue in chosen:
            self.positions[queue] = self.positions.pop(queue)
        return [self.positions[queue] for queue in chosen]

    def learn(self, passed: Passed | None, *, wanted: int, now: float) -> None:
        """What came of a claim for so many jobs."""
        self.has_room = False
        if passed is None:
            self.try_at = now + jittered(TAKEN_SECONDS)
            return
        if passed.lowest is not None:
            self.min_place = passed.lowest
        self.positions.update(
            {position.queue: position for position in passed.positions if position.queue in self.positions}
        )
        claimed = len(passed.assignments)
        left = None if passed.places is None else passed.places - claimed
        self.cut_walks = self.cut_walks + 1 if passed.is_cut and not claimed else 0
        if claimed:
            self.pause = FULL_SECONDS
        self.has_room = claimed >= wanted and left != 0
        if left != 0 and (claimed or 0 < self.cut_walks < MAX_CUT_WALKS):
            self.may_start, self.try_at = True, now
            return
        # Full, or nothing of what waits may start: until a place is freed, a rate allows it, or some time has passed.
        self.may_start = left == 0 or passed.next_start_seconds is not None
        wait = self.pause if passed.next_start_seconds is None else max(0.0, passed.next_start_seconds) + 0.0005
        self.try_at = now + wait
        self.pause = min(2 * self.pause, LONGEST_FULL_SECONDS)


class GateMap:
    """The gates with something to do, in the order in which they are served: the one served last comes last."""

    def __init__(self) -> None:
        self._fronts: dict[str, GateFront] = {}
        self._min_places: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._fronts)

    def forget(self) -> None:
        """Nothing is known any more: the database may be another by now."""
        self._fronts.clear()
        self._min_places.clear()

    def learn_found(self, found: Mapping[str, Sequence[str]]) -> None:
        """At these gates, in these queues, something waits."""
        for name in self._fronts.keys() - found.keys():
            self._min_places[name] = self._fronts.pop(name).min_place
        for name, queues in found.items():
            front = self._fronts.get(name) or GateFront(name, min_place=self._min_places.get(name, 0))
            front.positions = {queue: front.positions.get(queue, LanePosition(queue)) for queue in queues}
            self._fronts[name] = front

    @property
    def names(self) -> Collection[str]:
        return self._fronts.keys()

    def has_room(self, name: str) -> bool:
        """Whether the last claim left places free there, because this worker had no use for more."""
        return name in self._fronts and self._fronts[name].has_room

    def knows(self, name: str) -> bool:
        return name in self._fronts

    def rouse(self, name: str) -> None:
        """A place was freed there, or a job came."""
        if (front := self._fronts.get(name)) is not None:
            front.try_at, front.pause = 0.0, FULL_SECONDS

    def rouse_all(self) -> None:
        for name in self._fronts:
            self.rouse(name)

    def take_due(self, now: float) -> list[GateFront]:
        """The gates that are to be tried now. They go to the end."""
        due = [front for front in self._fronts.values() if front.try_at <= now]
        for front in due:
            self._fronts[front.name] = self._fronts.pop(front.name)
        return due

    @property
    def try_at(self) -> float:
        return min((front.try_at for front in self._fronts.values()), default=inf)

    @property
    def may_start(self) -> bool:
        """Whether some job may start, now or later, as far as is known."""
        return any(front.may_start for front in self._fronts.values())
