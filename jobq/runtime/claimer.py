"""Claims jobs for the supervisor: what may be due is made pending, and as much is claimed as there is room for."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.service import Service, jittered, sooner
from jobq.store import jobs, workers
from jobq.store.database import Connection, Database
from jobq.store.jobs import QueuePosition

log = logging.getLogger("jobq.worker.claimer")

IDLE_LOOKS_SECONDS = (0.02, 0.1, 0.5)
"""The first looks after there was nothing more, before the slow poll: whoever began to enqueue while this worker was
busy did not notify it, and may have committed just after its last look."""

BUSY_SECONDS = 0.5
"""Busy for so long, a worker tells enqueuers that they need not notify it."""

LOOK_EVERY_SECONDS = 0.5
"""While busy, due jobs are made pending, and other queues looked for, so often."""

BARREN_SECONDS = 1.0
"""A queue in which nothing was for this worker, though something is pending there, is left out for so long."""

MISSED_AGAIN_SECONDS = 1.0
MISSED_SELDOM_SECONDS = 600.0
"""After a lost connection the server may still be at a claim, and do it when this worker has long asked what it holds:
so it asks again, ever more seldom."""

FRONT_EVERY_SECONDS = 0.1
"""While a queue is worked off from where the last claim ended, its front is looked at so often …"""

FRONT_SHARE = 20
"""… or as seldom that these looks take one twentieth of the time, where dead entries make them slow."""

SLOW_FRONT_SECONDS = 0.01
SLOW_FRONT_SECONDS_PER_JOB = 0.0001
"""A look at the front that takes longer wades through what an open transaction keeps from being vacuumed."""


class Waiting:
    """Whether this worker wants to be notified: as long as one of its claimers waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimers: set[Claimer] = set()

    def say(self, claimer: "Claimer", connection: Connection, worker_id: int, *, waiting: bool) -> None:
        with self._lock:
            (self._claimers.add if waiting else self._claimers.discard)(claimer)
            if waiting or not self._claimers:
                workers.set_waiting(connection, claimer.database.schema, worker_id=worker_id, waiting=waiting)


@dataclass(slots=True)
class Front:
    """What is known of the front of a queue."""

    look_at: float = 0.0  # when it is time for another look
    is_slow: bool = False  # the last look was
    empty_at: float = -inf  # when the last look began that found nothing


class Claimer(Service):
    """Keeps the supervisor's stock filled.

    `on_delivered` says that something was claimed, which the supervisor is to `take`. It says by `want` how much there
    is room for.
    """

    name = "claim"

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        queues: QueueChoice,
        *,
        on_delivered: Callable[[], None],
        may_sleep: Callable[[], bool],
        on_owed_hooks: Callable[[], None],
        preparer: Preparer,
        waiting: Waiting | None = None,
    ) -> None:
        super().__init__(database)
        self.other: Claimer | None = None  # claims what this one does not, and hears of what this one has promoted
        self._waiting = waiting or Waiting()
        self.ownership = ownership
        self.queues = queues
        self.classes: tuple[str, ...] = ()
        self.empty_look_began: float | None = None  # when the last look began that found nothing
        self._on_delivered = on_delivered
        self._may_sleep = may_sleep
        self._on_owed_hooks = on_owed_hooks
        self._preparer = preparer
        self._lock = threading.Lock()
        self._wanted = 0
        self._least = 1
        self._delivered: list[Assignment] = []
        self._returned: list[Assignment] = []
        self._hints: set[str] = set()
        self._is_claiming = True
        self._active: dict[str, QueuePosition] = {}
        self._left: dict[str, QueuePosition] = {}  # where to go on in queues that were worked off and have slow fronts
        self._fronts: defaultdict[str, Front] = defaultdict(Front)
        self._looks_anew = False
        self._barren_until: dict[str, float] = {}  # queues with nothing for us, though something is pending there
        self._turn = 0
        self._look_at = 0.0
        self._idle_looks = 0
        self._said_waiting: tuple[int, bool] | None = None
        self._idle_at = 0.0
        self._was_connected = False
        self._missed_at: float | None = None  # no connection has been lost yet
        self._missed_wait = MISSED_AGAIN_SECONDS

    # Called by the supervisor and the listener

    def want(self, count: int, *, least: int = 1) -> None:
        """There is room for so many more jobs than were taken; less than `least` is not worth a claim.

        May be said at any time: a claim that is under way counts as soon as it has delivered, and the next one need not
        wait for the supervisor.
        """
        with self._lock:
            was_enough = self._wants_enough
            self._wanted, self._least = count - len(self._delivered), least
            is_enough = self._wants_enough
        if is_enough and not was_enough:
            self.wake()

    @property
    def _wants_enough(self) -> bool:
        return self._wanted >= self._least

    def take(self) -> list[Assignment]:
        """What was claimed since the last time."""
        with self._lock:
            taken, self._delivered = self._delivered, []
        return taken

    @property
    def has_delivered(self) -> bool:
        return bool(self._delivered)

    def hint(self, queue: str) -> None:
        """Something may be pending in this queue."""
        if queue in self.queues:
            with self._lock:
                self._hints.add(queue)
            self.wake()

    def look(self) -> None:
        """Look everywhere, soon."""
        self._looks_anew = True
        self.wake()

    def give_back(self, assignments: Sequence[Assignment]) -> None:
        """These jobs have not started, and will not here."""
        with self._lock:
            self._returned.extend(assignments)
        self.wake()

    def stop_claiming(self) -> None:
        self._is_claiming = False
        self.wake()

    @property
    def has_to_give_back(self) -> bool:
        return bool(self._returned)

    # In its own thread

    def on_connected(self, connection: Connection) -> None:
        """After a lost connection: what a claim took whose answer never came is ours all the same."""
        self._said_waiting = None
        self._active.clear()
        self._left.clear()
        self.look()
        self._take_missed(connection)
        if self._was_connected:
            self._missed_wait = MISSED_AGAIN_SECONDS
            self._missed_at = monotonic() + self._missed_wait
        self._was_connected = True

    def _take_missed(self, connection: Connection) -> None:
        held = self.ownership.held()
        worker_id = self.ownership.worker_id
        if missed := [
            assignment
            for assignment in jobs.claimed(connection, self.database.schema, worker_id=worker_id)
            if (assignment.id, assignment.attempt) not in held and self._is_mine(assignment)
        ]:
            log.info("claimed again after a lost connection jobs=%s", len(missed))
            self._hand_over(worker_id, missed)

    def _is_mine(self, assignment: Assignment) -> bool:
        """What another claimer of this worker took may not be counted yet."""
        return self.other is None or assignment.job_class in self.classes

    def tick(self, connection: Connection) -> float | None:
        """One round: give back, claim; where there is nothing, look elsewhere, then sleep ever longer."""
        self._give_back(connection)
        if self._missed_at is None:
            return self._round(connection)
        if monotonic() < self._missed_at:
            return sooner(self._round(connection), self._missed_at - monotonic())
        self._take_missed(connection)
        self._missed_wait = min(2 * self._missed_wait, MISSED_SELDOM_SECONDS)
        self._missed_at = monotonic() + self._missed_wait
        return 0.0

    def _round(self, connection: Connection) -> float | None:
        if not self._is_claiming or not self._wants_enough or not self.classes:
            return self._rest(connection)
        began = monotonic()
        if self._looks_anew:
            self._looks_anew = False
            self._look_at = 0.0
            for front in self._fronts.values():
                front.look_at = 0.0
        self._take_hints(began)
        if self._active and self._claim(connection):
            self._unless_long_busy(connection, began)
            if began < self._look_at:
                return 0.0
        next_due = self._look_around(connection, began)
        if self._active:
            return 0.0
        return self._sleep(connection, began, next_due)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            returned = list(self._returned)
        if not returned:
            return
        jobs.give_back(
            connection, self.database.schema, worker_id=self.ownership.worker_id, assignments=returned
        )
        self.ownership.let_go(returned)
        with self._lock:
            self._returned = self._returned[len(returned) :]

    def _take_hints(self, now: float) -> None:
        """What was just enqueued lies behind all that was seen, so a front that is slow to look at can wait."""
        with self._lock:
            hints, self._hints = self._hints, set()
        for queue in hints:
            if queue in self._left and self.empty_look_began is not None:
                front = self._fronts[queue]
                front.look_at = max(front.look_at, now + FRONT_EVERY_SECONDS)
            self._enter(queue)

    def _enter(self, queue: str) -> None:
        self._active.setdefault(queue, self._left.pop(queue, QueuePosition(queue)))

    def _claim(self, connection: Connection) -> bool:
        """Claims from the queues that may hold something. False: they hold nothing."""
        wanted = max(0, self._wanted)  # room may have shrunk below nothing since this was thought worth it
        worker_id = self.ownership.worker_id
        over = self.ownership.over()
        began = monotonic()
        positions = [self._position(queue, began) for queue in self._active]
        claimed = jobs.claim(
            connection,
            self.database.schema,
            worker_id=worker_id,
            positions=positions,
            classes=self.classes,
            most=wanted,
            over=over,
        )
        self.ownership.forget_claims(over)
        self._learn(positions, claimed, wanted, began)
        if claimed:
            self._hand_over(worker_id, claimed)
        return bool(claimed)

    def _position(self, queue: str, now: float) -> QueuePosition:
        """Where to enter a queue: where the last claim ended, and from time to time the front again."""
        if now >= self._fronts[queue].look_at:
            return QueuePosition(queue, last_turn=self._active[queue].last_turn)
        return self._active[queue]

    def _learn(
        self, positions: Sequence[QueuePosition], claimed: Sequence[Assignment], wanted: int, began: float
    ) -> None:
        """Which queues are empty, and where the next claim of the others may begin.

        What an open transaction elsewhere keeps from being vacuumed piles up at a queue's front, so the way in from
        there gets longer with every job done. What comes in ahead of a position (a higher priority, a retry)
        is found at the next look at the front.
        """
        took = monotonic() - began
        self._turn += 1
        last = {assignment.queue: assignment for assignment in claimed}  # the order of service ends with the last
        is_cut = len(claimed) >= wanted
        for position in positions:
            queue = position.queue
            front, before = self._fronts[queue], self._active[queue]
            if queue in last:
                reached = QueuePosition(queue, last[queue].priority, last[queue].id, self._turn)
                self._active[queue] = reached if is_cut else further(before, reached)
            if position.is_front:
                front.look_at = began + max(FRONT_EVERY_SECONDS, FRONT_SHARE * took)
                front.is_slow = is_slow(took, len(claimed))
            if is_cut:
                continue
            # Less than wanted: whatever lies ahead of the positions is worth a look now, where that is not slow.
            if not front.is_slow:
                front.look_at = 0.0
            if queue in last:
                continue
            if position.is_front:
                front.empty_at = began
            if front.is_slow:
                self._left[queue] = self._active.pop(queue)
                if not position.is_front:
                    self.empty_look_began = None  # until its front was looked at
            elif position.is_front:
                del self._active[queue], self._fronts[queue]
                if not claimed:
                    self._barren_until[queue] = began + BARREN_SECONDS

    def _hand_over(self, worker_id: int, claimed: list[Assignment]) -> None:
        if self.ownership.take(worker_id, claimed):
            self._idle_looks = 0
            self.empty_look_began = None
            ready = [assignment for assignment in claimed if assignment.arguments and not assignment.suspected]
            with self._lock:
                self._delivered += ready
                self._wanted -= len(claimed)
            if len(ready) < len(claimed):
                self._preparer.add([one for one in claimed if one.suspected or not one.arguments])
            self._on_delivered()

    def _look_around(self, connection: Connection, now: float) -> float | None:
        """Makes due jobs pending, ends expired ones, finds queues; returns the seconds until a job is next due."""
        left = {queue for queue in self._left if now < self._fronts[queue].look_at}
        known = {*self._active, *left, *(queue for queue, until in self._barren_until.items() if now < until)}
        promotion = jobs.promote(
            connection, self.database.schema, worker_id=self.ownership.worker_id, known=known
        )
        self._learn_of_fronts(self._left.keys() - left, now, promotion.promoted)
        for queue in (*promotion.queues, *promotion.others):
            if queue in self.queues:
                self._enter(queue)
                self._fronts[queue].look_at = 0.0
        if self.other is not None:
            for queue in promotion.queues:
                self.other.hint(queue)
        next_expiry = promotion.next_expiry_seconds
        if next_expiry is not None and next_expiry <= 0:
            next_expiry = self._expire(connection)
        next_due = sooner(promotion.next_due_seconds, next_expiry)
        self._look_at = now + (LOOK_EVERY_SECONDS if next_due is None else min(LOOK_EVERY_SECONDS, next_due))
        return next_due

    def _learn_of_fronts(self, looked_at: Collection[str], began: float, promoted: int) -> None:
        """Fronts that were slow to look at are looked at again after a while; of others no position need be kept."""
        took = monotonic() - began
        for queue in looked_at:
            if is_slow(took, promoted):
                front = self._fronts[queue]
                front.look_at = began + FRONT_SHARE * took
                front.empty_at = began
            else:
                del self._left[queue], self._fronts[queue]

    def _expire(self, connection: Connection) -> float | None:
        """Ends expired jobs; returns the seconds until the next ones expire."""
        expiry = jobs.expire(connection, self.database.schema)
        if expiry.expired:
            log.info("expired jobs=%s", expiry.expired)
        if expiry.owed:
            self._on_owed_hooks()
        return expiry.next_expiry_seconds

    def _rest(self, connection: Connection) -> float | None:
        """There is no room: nothing to do until told so, but to say after a while that nobody need notify."""
        if self._says_waiting and not self._unless_long_busy(connection, monotonic()):
            return BUSY_SECONDS
        return None

    def _unless_long_busy(self, connection: Connection, now: float) -> bool:
        """After a while without a pause, enqueuers need not notify: this worker looks again by itself."""
        if self._says_waiting and now - self._idle_at > BUSY_SECONDS:
            self._say_waiting(connection, waiting=False)
            return True
        return False

    @property
    def _says_waiting(self) -> bool:
        return self._said_waiting == (self.ownership.worker_id, True)

    def _sleep(self, connection: Connection, began: float, next_due: float | None) -> float:
        """How long to sleep now that nothing is pending.

        Having said that it waits, the worker looks once more before it believes that there is nothing: whoever
        enqueued before that was said has not notified.
        """
        # A queue that was left out for an earlier look's sake may hold by now what a child gave back when it died.
        is_proven = all(until - BARREN_SECONDS >= began for until in self._barren_until.values())
        self._barren_until.clear()
        if not is_proven:
            return 0.0
        unseen = [self._fronts[queue].look_at for queue in self._left if self._fronts[queue].empty_at < began]
        if not unseen:
            self.empty_look_began = began
        elif self.empty_look_began is None:
            next_due = sooner(next_due, min(unseen) - began)
        self._idle_at = monotonic()
        if self._may_sleep() and not self._says_waiting:
            self._say_waiting(connection, waiting=True)
            self._idle_looks = 0
            return 0.0
        self._idle_looks += 1
        wait = jittered(self.database.settings.poll_every)
        if self._idle_looks <= len(IDLE_LOOKS_SECONDS):
            wait = min(wait, jittered(IDLE_LOOKS_SECONDS[self._idle_looks - 1]))
        else:
            self._drop_claims(connection)
        if next_due is not None:
            wait = min(wait, next_due + 0.001)
        return wait

    def _drop_claims(self, connection: Connection) -> None:
        """No claim comes soon that would do it: removes those that are over."""
        if over := self.ownership.over():
            worker_id = self.ownership.worker_id
            jobs.drop_claims(connection, self.database.schema, worker_id=worker_id, over=over)
            self.ownership.forget_claims(over)

    def _say_waiting(self, connection: Connection, *, waiting: bool) -> None:
        worker_id = self.ownership.worker_id
        self._waiting.say(self, connection, worker_id, waiting=waiting)
        self._said_waiting = (worker_id, waiting)


class CoroutineClaimer(Claimer):
    """The same for coroutines that run side by side: there may be room for them where there is none for ordinary jobs,
    and the other way round."""

    name = "claim coroutines"


def further(first: QueuePosition, second: QueuePosition) -> QueuePosition:
    """Of two positions in one queue the one that is served later."""
    return first if not first.is_front and (-first.priority, first.id) > (-second.priority, second.id) else second


def is_slow(seconds: float, jobs: int) -> bool:
    """Whether a look took longer than so many jobs account for."""
    return seconds > SLOW_FRONT_SECONDS + SLOW_FRONT_SECONDS_PER_JOB * jobs
