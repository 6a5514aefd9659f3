"""Claims jobs for the supervisor: what may be due is made pending, and as much is claimed as there is room for."""

import selectors
from collections.abc import Callable, Collection, Sequence
from time import monotonic

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.runtime.announced import Announced, Announcement
from jobq.runtime.exchange import Exchange
from jobq.runtime.giving_back import GivingBack
from jobq.runtime.idling import Idling
from jobq.runtime.looking_around import LookingAround
from jobq.runtime.missed import Missed
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.queue_map import QueueMap
from jobq.runtime.room import Room
from jobq.runtime.service import sooner
from jobq.runtime.waiting import Waiting
from jobq.store import claiming
from jobq.store.callers.steps import Steps
from jobq.store.database import Database


class Claimer(Exchange):
    """Keeps the supervisor's stock filled, as far as there is `room`."""

    name = "claim"

    def __init__(
        self,
        database: Database,
        selector: selectors.BaseSelector,
        wake_loop: Callable[[], None],
        ownership: Ownership,
        queues: QueueChoice,
        *,
        on_claimed: Callable[[], None],
        may_sleep: Callable[[], bool],
        on_owed_hooks: Callable[[], None],
        on_gated: Callable[[bool], None],
        preparer: Preparer,
        waiting: Waiting,
    ) -> None:
        super().__init__(database, selector, wake_loop)
        self.other: Claimer | None = None  # claims what this one does not, and hears of what this one has promoted
        self.ownership = ownership
        self.queues = QueueMap(queues)
        self.classes: tuple[str, ...] = ()
        self.room = Room(ownership, preparer)
        self.giving_back = GivingBack(database.schema, ownership)
        self.missed = Missed(database.schema, ownership)
        self._idling = Idling(ownership, waiting, may_sleep=may_sleep, poll_every=database.settings.poll_every)
        self._announced = Announced()
        self._on_claimed = on_claimed
        self._hints: set[str] = set()
        self._is_claiming = True
        self._looks_anew = False
        self._looking_around = LookingAround(
            database.schema,
            ownership,
            self.queues,
            on_promoted=self._tell_other,
            on_owed_hooks=on_owed_hooks,
            on_gated=on_gated,
        )

    # Told by the main loop

    def want(self, count: int, *, least: int = 1) -> None:
        """As `Room.want` says; at any time: a claim that is under way counts as soon as it has delivered."""
        if self.room.want(count, least=least):
            self.wake()

    def hint(self, queue: str) -> None:
        """Something may be pending in this queue."""
        if self.queues.works(queue):
            self._hints.add(queue)
            self._rouse()

    def announce(self, announcement: Announcement) -> None:
        """A job was enqueued, and this worker is among those that are to claim it."""
        if announcement.job_class not in self.classes or not self.queues.works(announcement.queue):
            return
        if self._announced.add(announcement):
            self.wake()
        else:
            self.hint(announcement.queue)

    def look(self) -> None:
        """Look everywhere, soon."""
        self._looks_anew = True
        self._rouse()

    def give_back(self, assignments: Sequence[Assignment]) -> None:
        """These jobs have not started, and will not here."""
        self.giving_back.add(assignments)
        self.wake()

    def stop_claiming(self) -> None:
        self._is_claiming = False
        self.wake()

    def _rouse(self) -> None:
        """Ends its sleep: there is more to look at than what was announced."""
        self._idling.rouse()
        self.wake()

    # Its rounds

    def on_connected(self) -> Steps[None]:
        """After a lost connection: what a claim took whose answer never came is ours all the same."""
        self._idling.on_connected()
        self.queues.forget_positions()
        self.look()
        yield from self._take_missed()
        self.missed.on_connected()

    def _take_missed(self) -> Steps[None]:
        worker_id = self.ownership.worker_id
        # What another claimer of this worker took may not be counted yet.
        found = yield from self.missed.look()
        if missed := [one for one in found if self.other is None or one.job_class in self.classes]:
            self.missed.tell(missed)
            self._hand_over(worker_id, missed)

    def tick(self) -> Steps[float | None]:
        """One round: give back, claim; where there is nothing, look elsewhere, then sleep ever longer."""
        if self.giving_back:
            yield from self.giving_back.give_back()
        seconds = self.missed.seconds_to_look()
        if seconds is None or seconds > 0:
            wait = yield from self._round()
            return sooner(wait, self.missed.seconds_to_look())
        yield from self._take_missed()
        self.missed.looked_again()
        return 0.0

    def _round(self) -> Steps[float | None]:
        began = monotonic()
        if not self._is_claiming or not self.room.is_enough or not self.classes:
            self._hear_announced_as_hints()
            return (yield from self._idling.rest())
        if self._idling.is_asleep(began):
            return (yield from self._claim_announced(began))
        self._idling.rouse()
        self._hear_announced_as_hints()
        self._take_hints(began)
        if self.queues.is_active and (yield from self._claim()):
            yield from self._idling.say_if_long_busy(began)
            if began < self._looking_around.next_at:
                return 0.0
        next_due = yield from self._looking_around.look(began)
        if self.queues.is_active or not self.queues.is_proven(began):
            return 0.0
        return (yield from self._sleep(began, next_due))

    def _take_hints(self, now: float) -> None:
        if self._looks_anew:
            self._looks_anew, self._looking_around.next_at = False, 0.0
            self.queues.look_at_fronts()
        hints, self._hints = self._hints, set()
        for queue in hints:
            self.queues.enter_hinted(queue, now)

    def _sleep(self, began: float, next_due: float | None) -> Steps[float]:
        """Nothing is pending, and a job is next due in so many seconds."""
        look_at = self.queues.learn_all_empty(began)
        wait = yield from self._idling.sleep()
        if self._idling.has_settled:
            yield from drop_claims(self.database.schema, self.ownership)
        if next_due is not None:
            wait = min(wait, next_due + 0.001)
        if look_at is not None:
            wait = min(wait, max(0.0, look_at - began))
        if wait and self._idling.says_waiting and not (self._hints or self._looks_anew):
            self._idling.asleep_until = monotonic() + wait
        return wait

    # Claiming

    def _claim(self) -> Steps[bool]:
        """Claims from the queues that may hold something. False: they hold nothing."""
        wanted = self.room.wanted
        worker_id, over = self.ownership.worker_id, self.ownership.over()
        began = monotonic()
        positions = self.queues.positions(began)
        claimed = yield from claiming.claim(
            self.database.schema,
            worker_id=worker_id,
            positions=positions,
            classes=self.classes,
            most=wanted,
            over=over,
        )
        self.ownership.forget_claims(over)
        self.queues.learn(positions, claimed, wanted=wanted, began=began, took=monotonic() - began)
        if claimed:
            self._idling.found_something()
            self._hand_over(worker_id, claimed)
        return bool(claimed)

    def _hand_over(self, worker_id: int, claimed: list[Assignment]) -> None:
        if self.room.deliver(worker_id, claimed):
            self.queues.empty_look_began = None
            self._on_claimed()

    # Announced jobs

    def _hear_announced_as_hints(self) -> None:
        """A worker that looks at its queues anyway, or has no room, does not look for single jobs."""
        for announcement in self._announced.take_all():
            self.hint(announcement.queue)

    def _claim_announced(self, now: float) -> Steps[float | None]:
        """While asleep: claims what was announced, and sleeps on. All else that was enqueued meanwhile is announced,
        too; so nothing need be looked at."""
        due: dict[str, list[Announcement]] = {}
        for announcement in self._announced.take_due(now):
            due.setdefault(announcement.queue, []).append(announcement)
        for queue, announcements in due.items():
            if self.queues.is_left(queue) or not (yield from self._claim_by_ids(queue, announcements)):
                self.hint(queue)
        if self._is_woken:
            yield from self._idling.say_if_long_busy(now)
        else:
            self._idling.pause()
        until = self._idling.asleep_until
        return 0.0 if until is None else max(0.0, min(until, self._announced.look_at) - monotonic())

    def _claim_by_ids(self, queue: str, announcements: Collection[Announcement]) -> Steps[bool]:
        """False: the queue is to be looked at, for a job was missed. Others are taken for claimed by somebody else."""
        worker_id, over = self.ownership.worker_id, self.ownership.over()
        if not self.room.is_enough:  # an earlier one has filled it
            return False
        claimed = yield from claiming.claim_announced(
            self.database.schema,
            [announcement.job_id for announcement in announcements],
            worker_id=worker_id,
            queue=queue,
            classes=self.classes,
            most=self.room.wanted,
            over=over,
        )
        self.ownership.forget_claims(over)
        ids = {assignment.id for assignment in claimed}
        if claimed:
            self._announced.forget(ids)
            self._hand_over(worker_id, claimed)
        now = monotonic()
        return not any(one.is_missed(now) for one in announcements if one.job_id not in ids)

    # Nothing to claim

    def _tell_other(self, promoted: Collection[str]) -> None:
        """A claimer that sleeps hears of no job that another one of this worker has made pending."""
        if self.other is not None:
            for queue in promoted:
                self.other.hint(queue)


class CoroutineClaimer(Claimer):
    """The same for coroutines that run side by side: there may be room for them where there is none for ordinary jobs,
    and the other way round."""

    name = "claim coroutines"


def drop_claims(schema: str, ownership: Ownership) -> Steps[None]:
    """No claim comes soon that would do it: removes those that are over."""
    if over := ownership.over():
        yield from claiming.drop_claims(schema, worker_id=ownership.worker_id, over=over)
        ownership.forget_claims(over)
