"""The supervisor: one worker's main loop, from its start to its end. It never imports the user's code."""

import logging
import selectors
from collections.abc import Callable
from operator import attrgetter
from time import monotonic, sleep
from typing import Any

from jobq import interpreter, telemetry
from jobq.grace import shutdown_grace
from jobq.queue_choice import QueueChoice
from jobq.records import Load, Report
from jobq.runtime import attempts_log, logs
from jobq.runtime.child_settings import ChildSettings, child_settings
from jobq.runtime.children import Children
from jobq.runtime.dispatcher import RECALL_AFTER_SECONDS
from jobq.runtime.drain import Drain
from jobq.runtime.duties import NO_DUTIES as NO_DUTIES
from jobq.runtime.duties import Duties as Duties  # whoever starts a worker gives it some
from jobq.runtime.events import (
    CancelsRequested,
    CodeChanged,
    DeclaredDead,
    Event,
    Events,
    FollowsHeard,
    HooksTaken,
    QueuesPaused,
    Registered,
    Signalled,
    StacksRequested,
    StopRequested,
)
from jobq.runtime.exchange import Exchange
from jobq.runtime.health.health import Health, Probes
from jobq.runtime.janitor import Janitor
from jobq.runtime.loaded import LoadedApplication
from jobq.runtime.machine import usable_cpus
from jobq.runtime.ownership import NOBODY, Ownership
from jobq.runtime.registration import Registration
from jobq.runtime.reloader import Reloader
from jobq.runtime.requests import Requests
from jobq.runtime.services import Services
from jobq.runtime.shutdown import Shutdown
from jobq.runtime.stock import Stock
from jobq.runtime.supervised import Child
from jobq.runtime.supply import Supply
from jobq.runtime.turns import Turns
from jobq.settings import Settings
from jobq.store import migrations, notices, rights
from jobq.store.database import Database

log = logging.getLogger("jobq.worker")

TICK_SECONDS = 0.25

ERROR_TYPE = attrgetter("error_type")

LOOK_EVERY_SECONDS = 1.0
"""Seconds between two times that progress is stored and services are checked."""

LEAVE_SECONDS = 2.0
"""At the end, children, services and the database each get this many seconds."""


def run(
    settings: Settings,
    *,
    queues: QueueChoice,
    drain: bool = False,
    reload: Callable[[], Settings] | None = None,
    read_figures: Callable[[], Load] | None = None,
    duties: Duties = NO_DUTIES,
) -> int:
    """Works the queues until a signal stops it, or with `drain` until nothing is due.

    With `reload`, which reads the settings again, children are replaced when code or settings change.

    Returns the exit code: 0 after a clean end; 1 if results could not be recorded, or if with `drain` a job came to
    rest without success; 2 if the application does not import; 130 or 143 if a second SIGINT or SIGTERM cut off running
    jobs. Raises DatabaseError if the database cannot be used from the start.
    """
    interpreter.require()
    logs.configure(settings)
    notices.write_with(logs.write)
    probes = Probes.at(settings.health, read_figures) if settings.health and read_figures else None
    database = Database(settings)
    try:
        with telemetry.quiet():
            rights.require(database, rights.WORKER)
            migrations.require_current(database)
            return Supervisor(database, queues, drain=drain, reload=reload, probes=probes, duties=duties).run()
    finally:
        database.close()
        logs.flush()


class Supervisor:
    """One worker. Its main thread owns the children and the stock; every service has a thread of its own."""

    _look_at = 0.0

    def __init__(
        self,
        database: Database,
        queues: QueueChoice,
        *,
        drain: bool,
        reload: Callable[[], Settings] | None = None,
        probes: Probes | None = None,
        duties: Duties = NO_DUTIES,
    ) -> None:
        settings = database.settings
        processes = settings.max_processes or usable_cpus()
        self.ownership = Ownership(0)
        self.events, self.turns, self.selector = Events(), Turns(), selectors.DefaultSelector()
        self.janitor = Janitor(lambda: self.children.roster.pids())
        self.children = self._make_children(child_settings(settings, processes))
        self.services = services = Services(
            *(database, self.ownership, queues, self.events, self.turns),
            Registration(database, self.ownership, queues, processes),
            self.selector,
            on_reports=self._on_reports,
            status=self._status,
            count_ready=self.children.crew.count_ready,
            duties=duties,
        )
        self.stock = Stock(self.children.dispatcher, self.ownership, services.preparer, settings.max_losses)
        self.supply = Supply(settings, self.children, self.stock, services)
        self.requests = Requests(self.children, self.stock, services.control, on_reports=self._on_reports)
        self.application = LoadedApplication(self.children.crew, services, self.supply, read_settings=reload)
        self.reloader = Reloader(settings.root, self._on_changed) if reload is not None else None
        self.shutdown = Shutdown(self.children, self.supply, services, grace_seconds=shutdown_grace(settings))
        self.drain = Drain(self.children.roster, self.supply, services, self.events) if drain else None
        self.health = Health(self.turns, self.children, services, self.shutdown, probes)

    def _make_children(self, settings: ChildSettings) -> Children:
        return Children(
            settings,
            self.selector,
            self.events.wake,
            mark=self.janitor.mark,
            on_reports=self._on_reports,
            on_loaded=lambda loaded: self.application.take(loaded),
            on_not_loaded=lambda message, trace: self.application.take_failure(message, trace),
            on_returned=lambda assignments: self.stock.put_back(assignments),
            on_stack=lambda job_id, stack: self.requests.answer(job_id, stack),
            on_lines=lambda part: self.services.log_keeper.add(part),
            on_drop_lines=lambda job_id, attempt: self.services.log_keeper.drop(job_id, attempt),
        )

    def run(self) -> int:
        self.children.roster.tell_worker(self.services.registration.register_first())
        self.events.catch_signals()
        try:
            self._start()
            while (exit_code := self.exit_code) is None:
                self._turn()
            return exit_code
        finally:
            self._leave()

    @property
    def exit_code(self) -> int | None:
        """None: the worker continues."""
        if self.shutdown.exit_code is None and self.application.is_unusable:
            return 2
        if self.shutdown.exit_code == 0 and self.drain is not None:
            return self.drain.exit_code
        return self.shutdown.exit_code

    def _start(self) -> None:
        self.selector.register(self.events, selectors.EVENT_READ)
        self.janitor.keep_up()
        self.children.keep_up()
        self.services.start()
        self.health.start()
        if self.reloader is not None:
            self.reloader.start()

    # One turn of the main loop

    def _turn(self) -> None:
        self.turns.mark()
        self.health.turned()
        self._hear()
        self.supply.receive()
        if not (self.events or self.shutdown.has_begun):
            self.stock.hand_out()  # first, if no other event came: a lone job waits for nothing else
        self.children.keep_up()
        self.janitor.keep_up()
        self._obey()
        self._look_after()
        if self.shutdown.has_begun:
            self.shutdown.go_on()
            return
        self.stock.hand_out()
        self.supply.give_back_stale()
        self.supply.ask_for_more()
        self.services.turn()
        self._stop_if_drained()

    def _hear(self) -> None:
        """Waits until there is work, and reads the output of children and the answers of the database."""
        if seconds := self.children.dispatcher.seconds_to_gather():
            sleep(seconds)
        for key, _ in self.selector.select(self._seconds_to_wait()):
            if isinstance(key.data, Exchange):
                key.data.hear()
            elif isinstance(key.data, Child):
                self.children.inbox.hear(key.data)
            else:
                self.events.clear_wake_ups()
        self.services.turn()
        self.children.inbox.hear_rings()

    def _seconds_to_wait(self) -> float:
        if self.children.dispatcher.holds_jobs_up():
            longest = RECALL_AFTER_SECONDS
        else:
            longest = self.children.seconds_to_next_look() or TICK_SECONDS
        seconds = self.services.seconds_to_turn()
        return longest if seconds is None else min(longest, seconds)

    def _obey(self) -> None:
        """Handles events from other threads and signals."""
        changed: set[str] = set()
        for event in self.events.take():
            if isinstance(event, CodeChanged):
                changed.update(event.names)
            else:
                self._do(event)
        if changed and not self.shutdown.has_begun:
            self.application.reload(changed)

    def _do(self, event: Event) -> None:
        match event:
            case Signalled(number):
                self.shutdown.take_signal(number)
            case StopRequested(requested_by) if not self.shutdown.has_begun:
                log.info("asked to stop by=%s", requested_by)
                self.shutdown.begin()
            case DeclaredDead(worker_id) if worker_id == self.ownership.worker_id:
                self._drop_all(worker_id)
            case Registered(worker_id):
                self._begin_anew(worker_id)
            case CancelsRequested(requests):
                self.requests.cancel(requests)
            case StacksRequested(questions):
                self.requests.ask_stacks(questions)
            case FollowsHeard(follows):
                self.children.line_watch.follow(follows)
            case HooksTaken(hooks):
                self.stock.add(hooks)
            case QueuesPaused():
                # Unstarted jobs are given back; a claim finds out which of them may run.
                self.children.dispatcher.recall_all()
                self.supply.give_back_all()

    def _look_after(self) -> None:
        """Work that is not needed at every turn."""
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_SECONDS
        self.services.look_after()
        if told := self.children.inspector.progress():
            self.services.control.tell_progress(told)

    def _stop_if_drained(self) -> None:
        if self.drain is not None and self.drain.is_done():
            log.info("drained done=%s", self.services.completer.tally.attempts)
            self.shutdown.begin()

    # Ending

    def _leave(self) -> None:
        """Ends every service and child, and signs off. A database that is down must not delay the exit."""
        if self.reloader is not None:
            self.reloader.stop()
        self.children.roster.cut_off_all("the worker has ended")
        self.services.stop(LEAVE_SECONDS)
        deadline = monotonic() + LEAVE_SECONDS
        while not self.children.roster.is_empty and monotonic() < deadline:
            self.children.keep_up()
            self.selector.select(0.02)
        self.health.close()
        self.janitor.close()
        self.services.registration.sign_off(LEAVE_SECONDS)
        self.selector.close()
        self.events.close()
        log.info("stopped worker=%s done=%s", self.ownership.worker_id, self.services.completer.tally.attempts)

    # Messages of children and services

    def _on_reports(self, reports: list[Report]) -> None:
        hooks = self.services.hooks
        if hooks:
            reports = hooks.account(reports)
        self.services.completer.add(reports)
        if any(map(ERROR_TYPE, reports)):
            unsuccessful = [report for report in reports if report.error_type]
            attempts_log.tell_ended(unsuccessful)
            hooks.note_aborted(unsuccessful)

    def _on_changed(self, names: list[str]) -> None:
        self.events.put(CodeChanged(names))

    def _status(self) -> dict[str, Any]:
        return {
            "children": self.children.inspector.status(),
            "begun": self.children.inspector.begun(),
            "done": self.services.completer.tally.attempts,
            # Also where it is not: one that does not say it is of a release that cannot be asked to stop.
            "stopping": self.shutdown.has_begun,
            "waiting": self.services.waiting(),
        }

    # Identity

    def _drop_all(self, worker_id: int) -> None:
        """Drops jobs that are no longer ours: they run elsewhere by now, and the fence refuses late reports.

        The heartbeat then registers this worker anew: the main loop does not wait for the database.
        """
        held = len(self.ownership.held())
        log.warning("this worker was declared dead; starting anew worker=%s jobs_dropped=%s", worker_id, held)
        self.ownership.begin_anew(NOBODY)
        self.children.dispatcher.recall_all()
        self.children.line_watch.drop_all()
        self.children.roster.drop_all_jobs("its job belongs to another worker by now")
        self.supply.drop_all()
        self.services.hooks.drop_all()
        self.services.completer.drop_all()
        self.services.heartbeat.wake()

    def _begin_anew(self, worker_id: int) -> None:
        self.children.roster.tell_worker(worker_id)
        self.supply.claim_anew()
        self.services.begin_anew()
