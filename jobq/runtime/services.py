"""All database work of a supervisor, each part with a connection of its own.

Claims and notifications are exchanges of the main loop, which never waits for an answer. Everything else is a service
with a thread. Services pass messages to each other here. Messages about jobs become events for the main loop.
"""

import selectors
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from jobq.queue_choice import QueueChoice
from jobq.records import ClassRecord, DeclaredSchedule, Report
from jobq.runtime import alerts
from jobq.runtime.announced import Announcement
from jobq.runtime.claimer import Claimer, CoroutineClaimer
from jobq.runtime.completer import Completer
from jobq.runtime.control import Control
from jobq.runtime.duties import Duties
from jobq.runtime.events import (
    CancelsRequested,
    DeclaredDead,
    Events,
    FollowsHeard,
    QueuesPaused,
    Registered,
    StacksRequested,
    StopRequested,
)
from jobq.runtime.exchange import Exchange
from jobq.runtime.gate_claimer import GateClaimer
from jobq.runtime.heartbeat import Heartbeat
from jobq.runtime.hooks import Hooks
from jobq.runtime.listener import Listener
from jobq.runtime.log_keeper import LogKeeper
from jobq.runtime.maintenance import Maintenance
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.registration import Registration
from jobq.runtime.reporter import Reporter
from jobq.runtime.scheduler import Scheduler
from jobq.runtime.service import Service, sooner
from jobq.runtime.turns import Turns
from jobq.runtime.waiting import Waiting
from jobq.settings import Settings
from jobq.store.database import Database


class Services:
    """`on_reports` gets reports on jobs that cannot be run at all. `status` is called for each heartbeat."""

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        queues: QueueChoice,
        events: Events,
        turns: Turns,
        registration: Registration,
        selector: selectors.BaseSelector,
        *,
        on_reports: Callable[[list[Report]], None],
        status: Callable[[], dict[str, Any]],
        count_ready: Callable[[], int],
        duties: Duties,
    ) -> None:
        self._database = database
        self.ownership = ownership
        self.registration = registration
        self._queues = queues
        self._events = events
        self._selector = selector
        self._make_recording()
        self.preparer = Preparer(database, ownership, on_prepared=events.wake, on_impossible=on_reports)
        self.maintenance = Maintenance(database, queues, duties, on_owed_hooks=self.control.look)
        self.heartbeat = Heartbeat(
            database,
            ownership,
            turns,
            registration,
            status,
            on_declared_dead=lambda worker_id: events.put(DeclaredDead(worker_id)),
            on_registered=lambda worker_id: events.put(Registered(worker_id)),
            on_stop_requested=lambda requested_by: events.put(StopRequested(requested_by)),
            on_classes_known=self.maintenance.look_for_unknown,
        )
        self.scheduler = Scheduler(database, ownership)
        self.listener: Listener | None = None
        self._make_claimers()
        self._all: list[Service] = [*(self.completer, self.heartbeat, self.control, self.maintenance, self.scheduler)]
        self.exchanges: list[Exchange] = [*self.claimers, self.gate_claimer]  # by the main loop itself
        self._make_optional(count_ready, duties)

    def _make_recording(self) -> None:
        self.completer = Completer(
            self._database,
            self.ownership,
            on_recorded=self._on_recorded,
            # A report came too late: the heartbeat checks at once whether this worker was declared dead.
            on_disowned=lambda: self.heartbeat.wake(),
        )
        self.control = Control(
            self._database,
            self.ownership,
            on_cancel=lambda requests: self._events.put(CancelsRequested(requests)),
            on_stack=lambda questions: self._events.put(StacksRequested(questions)),
            on_hooks=lambda hooks: self.hooks.take_up(hooks),
            hooks_wanted=lambda: self.hooks.are_wanted,
            on_look=self._on_look,
            on_follows=lambda follows: self._events.put(FollowsHeard(follows)),
        )
        self.hooks = Hooks(self.control, self._events)
        self.log_keeper = LogKeeper(self._database, self.ownership)

    def _make_claimers(self) -> None:
        waiting = Waiting(self._database.schema, self.ownership)
        self.gate_claimer = GateClaimer(
            self._database,
            self._selector,
            self._events.wake,
            self.ownership,
            self._queues,
            on_claimed=self._on_claimed,
            preparer=self.preparer,
        )
        self.claimer, self.coroutine_claimer = (
            claimer(
                self._database,
                self._selector,
                self._events.wake,
                self.ownership,
                self._queues,
                on_claimed=self._on_claimed,
                may_sleep=self._is_listening,
                on_owed_hooks=self.control.look,
                on_gated=lambda has_gated: self.gate_claimer.look() if has_gated else None,
                preparer=self.preparer,
                waiting=waiting,
            )
            for claimer in (Claimer, CoroutineClaimer)
        )
        self.claimers = [self.claimer]
        if self._database.settings.concurrency > 1:
            self.claimers.append(self.coroutine_claimer)
            self.claimer.other, self.coroutine_claimer.other = self.coroutine_claimer, self.claimer

    def _make_optional(self, count_ready: Callable[[], int], duties: Duties) -> None:
        database, settings = self._database, self._database.settings
        if settings.listen and not settings.transaction_pooler:
            self.listener = Listener(
                database,
                self._selector,
                self._events.wake,
                self.ownership,
                on_announced=self._on_announced,
                on_hint=self._on_hint,
                on_gate=self.gate_claimer.hint,
                on_control=self._on_control,
                on_connected_again=self._look_everywhere,
            )
            self.exchanges.append(self.listener)
        if alerts.are_set(settings):
            self._all.append(alerts.Alerts(database, duties))
        if settings.stats_every:
            self._all.append(
                Reporter(
                    database,
                    self._queues,
                    processes=count_ready,
                    running=lambda: len(self.ownership.held()),
                    done=lambda: self.completer.tally.attempts,
                    failed=lambda: self.completer.tally.failed,
                )
            )

    @property
    def settings(self) -> Settings:
        return self._database.settings

    def start(self) -> None:
        for service in self._all:
            service.start()

    def turn(self) -> None:
        """Lets the main loop's exchanges with the database start what is due."""
        for exchange in self.exchanges:
            exchange.turn()

    def seconds_to_turn(self) -> float | None:
        """When `turn` has work to do. None: not before data arrives."""
        seconds: float | None = None
        for exchange in self.exchanges:
            seconds = sooner(seconds, exchange.seconds_to_turn())
        return seconds

    @property
    def _waiters(self) -> list[Service | Exchange]:
        return [*self._all, *self._on_demand, *self.exchanges]

    @property
    def _on_demand(self) -> tuple[Service, ...]:
        """Those that begin when there is something to do."""
        return self.preparer, self.log_keeper

    def look_after(self) -> None:
        """Reports services and exchanges that wait long. Called by the main loop."""
        for one in self._waiters:
            one.look_after()

    def waiting(self) -> dict[str, float]:
        """The services that have waited long, and for how many seconds, for the heartbeat."""
        return {one.name: round(one.ticking.seconds, 1) for one in self._waiters if one.ticking.is_long}

    def stop(self, seconds: float) -> None:
        """Asks all to end, and waits at most this long: the database of one may be down."""
        for exchange in self.exchanges:
            exchange.stop()
        for service in (*self._all, *self._on_demand):
            service.ask_to_stop()
        deadline = monotonic() + seconds
        for service in (*self._all, *self._on_demand):
            service.wait_until_stopped(max(0.0, deadline - monotonic()))

    def tell_application(self, classes: tuple[ClassRecord, ...], schedules: tuple[DeclaredSchedule, ...]) -> None:
        """What the application defines."""
        self.heartbeat.tell(classes)
        self.scheduler.tell(schedules)
        self.control.classes = tuple(name for record in classes if record.has_abort_hook for name in record.names)
        self.control.look()

    def begin_anew(self) -> None:
        """This worker has another identity from now on."""
        if self.listener is not None:
            self.listener.wake()
        self.scheduler.wake()

    # Messages of services, in their threads

    def _on_recorded(self) -> None:
        self.hooks.look_if_owed()
        self.preparer.recorded()
        self._events.wake()

    def _on_look(self, beats: Mapping[int, float], has_left: bool) -> None:
        self.maintenance.looked(beats, has_left)

    # Messages of the main loop's exchanges

    def _on_claimed(self) -> None:
        if self.listener is not None:
            self.listener.was_useful()

    def _on_announced(self, announcement: Announcement) -> None:
        for claimer in self.claimers:
            claimer.announce(announcement)

    def _on_hint(self, queue: str) -> None:
        for claimer in self.claimers:
            claimer.hint(queue)

    def _on_control(self, payload: str) -> None:
        """An operator has a request to the named worker, or to all if none is named: queues were paused."""
        if payload == "":
            self._events.put(QueuesPaused())
        elif payload == str(self.ownership.worker_id):
            self.control.look()
            self.heartbeat.wake()  # the worker itself may have to stop

    def _look_everywhere(self) -> None:
        """Hints may have been lost."""
        for claimer in self.claimers:
            claimer.look()
        self.control.look()

    def _is_listening(self) -> bool:
        return self.listener is not None and self.listener.is_listening
