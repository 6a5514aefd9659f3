"""Claims jobs through gates, for children that are free. A job that waits in the stock must not hold a place.

The claimer connects when the first job waits at a gate. When a job of this worker frees a place, the claimer takes it
again at once. If this worker has no job for it, sleeping workers are notified.
"""

import selectors
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.runtime.exchange import Exchange
from jobq.runtime.gate_map import GateFront, GateMap
from jobq.runtime.missed import Missed
from jobq.runtime.ownership import Ownership
from jobq.runtime.places import Places
from jobq.runtime.preparer import Preparer
from jobq.runtime.room import Room
from jobq.runtime.service import sooner
from jobq.store import claiming
from jobq.store.callers.steps import Steps
from jobq.store.database import Database
from jobq.store.statements import gate_channel, statement

FIND_EVERY_SECONDS = 0.5
"""A worker that knows of gates looks this often for others, and for other queues of these."""


class GateClaimer(Exchange):
    """Fills two rooms: one for ordinary jobs, one for coroutines."""

    name = "claim through gates"

    def __init__(
        self,
        database: Database,
        selector: selectors.BaseSelector,
        wake_loop: Callable[[], None],
        ownership: Ownership,
        queues: QueueChoice,
        *,
        on_claimed: Callable[[], None],
        preparer: Preparer,
    ) -> None:
        super().__init__(database, selector, wake_loop)
        self._turn_at = None  # it connects when it is woken first
        self.ownership = ownership
        self.gates = GateMap()
        self.room = Room(ownership, preparer)
        self.coroutine_room = Room(ownership, preparer)
        self.classes: tuple[str, ...] = ()
        self.coroutine_classes: tuple[str, ...] = ()
        self.missed = Missed(database.schema, ownership, through_gates=True)
        self._queues = queues
        self._on_claimed = on_claimed
        self._is_claiming = True
        self._find_at = inf
        self.empty_look_began: float | None = inf
        """When the last look without a startable job began. None: the last look found one."""
        self._places = Places(ownership)

    # Told by the main loop

    def wake(self) -> None:
        super().wake()
        if self._line is None and self._connecting is None and self._turn_at is None:
            self._turn_at = 0.0

    def look(self) -> None:
        """Look everywhere, soon."""
        self._find_at = 0.0
        self.empty_look_began = None
        self.gates.rouse_all()
        self.wake()

    def hint(self, gate: str) -> None:
        """A job has come to this gate, or a place was freed there."""
        if self.gates.knows(gate):
            self.gates.rouse(gate)
        else:
            self._find_at = 0.0
        self.empty_look_began = None
        self.wake()

    def want(self, count: int, coroutines: int) -> None:
        """There is room for `count` more ordinary jobs and for `coroutines` more coroutines."""
        has_more = self.room.want(count)
        if (self.coroutine_room.want(coroutines) or has_more) and (self.gates or self._find_at < inf):
            self.wake()

    def look_after_places(self) -> None:
        """Notes which attempts have ended by now, and freed their places."""
        if freed := self._places.look():
            for gate in freed:
                self.gates.rouse(gate)
            self.wake()

    def stop_claiming(self) -> None:
        self._is_claiming = False

    def drop_all(self) -> None:
        self.room.take()
        self.coroutine_room.take()
        self._places.drop_all()

    @property
    def has_delivered(self) -> bool:
        return self.room.has_delivered or self.coroutine_room.has_delivered

    @property
    def is_hot(self) -> bool:
        """Whether a claim is likely to bring something now."""
        return bool(self.gates) and self.gates.may_start and self.gates.try_at <= monotonic()

    @property
    def may_bring_jobs(self) -> bool:
        """Whether a job waits at a gate that this worker may start, now or later."""
        return self._is_claiming and (self.gates.may_start or bool(self._places.freed))

    # Its rounds

    def on_connected(self) -> Steps[None]:
        """After a lost connection, jobs of a claim whose answer was lost belong to this worker all the same."""
        self.gates.forget()
        self._find_at = 0.0
        yield from self._take_missed()
        self.missed.on_connected()

    def _take_missed(self) -> Steps[None]:
        worker_id = self.ownership.worker_id
        if found := (yield from self.missed.look()):
            self.missed.tell(found)
            self._deliver(self.room, worker_id, found, gate="")

    def tick(self) -> Steps[float | None]:
        seconds = self.missed.seconds_to_look()
        if seconds is not None and seconds <= 0:
            yield from self._take_missed()
            self.missed.looked_again()
        wait = yield from self._round()
        return sooner(wait, self.missed.seconds_to_look())

    def _round(self) -> Steps[float | None]:
        if not self._may_claim:
            yield from self._tell_others(self.gates.names)
            return None
        began = monotonic()
        is_found_anew = began >= self._find_at
        if is_found_anew:
            yield from self._find()
        for front in self.gates.take_due(monotonic()):
            for room, classes in ((self.room, self.classes), (self.coroutine_room, self.coroutine_classes)):
                if room.is_enough and classes and self._is_claiming:
                    yield from self._claim(front, room, classes)
        yield from self._tell_others(filter(self.gates.has_room, self.gates.names))
        if is_found_anew:
            self.empty_look_began = None if self.gates.may_start else began
        if not self.gates:
            return None
        return max(0.0, min(self.gates.try_at, self._find_at) - monotonic()) if self._may_claim else None

    @property
    def _may_claim(self) -> bool:
        return self._is_claiming and (self.room.is_enough or self.coroutine_room.is_enough)

    def _find(self) -> Steps[None]:
        found = yield from claiming.find_gates(self.database.schema)
        worked = {gate: [queue for queue in queues if queue in self._queues] for gate, queues in found.items()}
        self.gates.learn_found({gate: queues for gate, queues in worked.items() if queues})
        self._find_at = monotonic() + FIND_EVERY_SECONDS if self.gates else inf

    def _claim(self, front: GateFront, room: Room, classes: tuple[str, ...]) -> Steps[None]:
        """Claims in a transaction of its own. It is READ COMMITTED whatever the role's default is: the count must see
        everything that was committed before the lock. An error ends the connection, and the transaction with it."""
        wanted, worker_id = room.wanted, self.ownership.worker_id
        over = self.ownership.over()
        yield b"BEGIN ISOLATION LEVEL READ COMMITTED", {}
        passed = yield from claiming.claim_through(
            self.database.schema,
            front.name,
            worker_id=worker_id,
            positions=front.next_positions(),
            classes=classes,
            most=wanted,
            min_place=front.min_place,
            over=over,
        )
        yield b"COMMIT", {}
        if passed is not None:
            self.ownership.forget_claims(over)
        front.learn(passed, wanted=wanted, now=monotonic())
        if passed is not None and passed.assignments:
            self._deliver(room, worker_id, passed.assignments, front.name)

    def _deliver(self, room: Room, worker_id: int, claimed: list[Assignment], gate: str) -> None:
        if room.deliver(worker_id, claimed):
            self._places.take(claimed, gate)
            self._on_claimed()

    def _tell_others(self, with_room: Iterable[str]) -> Steps[None]:
        """Notifies sleeping workers of places at these gates that were freed and that this worker does not take."""
        if gates := self._places.take_to_tell(with_room):
            schema = self.database.schema
            yield statement("wake", schema), {"channel": gate_channel(schema), "queues": gates}
