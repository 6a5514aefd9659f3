"""The supervisor: claims, hands out, watches and records. It never imports the user's code."""

import logging
import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from time import monotonic, sleep
from types import FrameType
from typing import Any

import jobq
from jobq import telemetry
from jobq.clean import plain
from jobq.errors import ConfigurationError, JobqError
from jobq.records import Assignment, ClassRecord, DeclaredSchedule, Report
from jobq.runtime import logs
from jobq.runtime.child_settings import child_settings
from jobq.runtime.children import Children
from jobq.runtime.claimer import Claimer, CoroutineClaimer, Waiting
from jobq.runtime.completer import Completer
from jobq.runtime.control import Control
from jobq.runtime.dispatcher import RECALL_AFTER_SECONDS
from jobq.runtime.endings import cancelled_unstarted
from jobq.runtime.heartbeat import Heartbeat
from jobq.runtime.isolation import Isolation
from jobq.runtime.janitor import Janitor
from jobq.runtime.listener import Listener
from jobq.runtime.machine import usable_cpus
from jobq.runtime.maintenance import Maintenance
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.reloader import Reloader
from jobq.runtime.reporter import Reporter
from jobq.runtime.scheduler import Scheduler
from jobq.runtime.service import Service
from jobq.runtime.supervised import Child
from jobq.settings import Settings
from jobq.store import migrations, rights, workers
from jobq.store.control import CancelRequest, StackRequest
from jobq.store.database import Database, host_name

log = logging.getLogger("jobq.worker")

TICK_SECONDS = 0.25

STOCK_SECONDS = 0.05
"""The stock of claimed jobs is about so much work for all children."""

PROGRESS_EVERY_SECONDS = 1.0
"""What running jobs say of their progress is stored so often."""

IS_ABORTED = attrgetter("aborted")

STALE_STOCK_SECONDS = 0.5
"""Jobs for which no child came free in so long are given back: another worker may be free."""

USED_UP = 1 / 3
"""A claim of less than this part of what may be held costs too much a job."""

MAX_UNRECORDED = 5000
"""With so many reports not in the database yet, nothing more is claimed until it has caught up, or is back."""

FLUSH_SECONDS = 10.0
"""How long the last reports may take on the way out, where the database is away."""

SECOND_SIGNAL_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def run(
    settings: Settings,
    *,
    queues: Sequence[str] = (),
    drain: bool = False,
    reload: Callable[[], Settings] | None = None,
) -> int:
    """Works the queues (none: all) until a signal ends it, or with `drain` until nothing is due.

    With `reload`, which reads the settings again, children are replaced when code or settings change.

    Returns the exit code: 0 after a clean end, 1 where results could not be recorded, 2 where the application does not
    import, 130 or 143 where a second SIGINT or SIGTERM cut the running jobs off.
    Raises DatabaseError where the database cannot be used from the start.
    """
    logs.configure(settings)
    database = Database(settings)
    try:
        with telemetry.quiet():
            rights.require(database, rights.WORKER)
            migrations.require_current(database)
            return Supervisor(database, queues, drain=drain, reload=reload).run()
    finally:
        database.close()


class Supervisor:
    """One worker. Its main thread owns the children and the stock; every service has a thread of its own."""

    def __init__(
        self,
        database: Database,
        queues: Sequence[str],
        *,
        drain: bool,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        settings = database.settings
        self.database = database
        self.settings = settings
        self.queues = tuple(dict.fromkeys(queues))
        self.drain = drain
        self.processes = settings.max_processes or usable_cpus()
        self.stock: deque[Assignment] = deque()
        self.coroutine_stock: deque[Assignment] = deque()
        self.coroutine_classes: frozenset[str] = frozenset()  # those that children run side by side
        self.classes: tuple[ClassRecord, ...] = ()
        self.schedules: tuple[DeclaredSchedule, ...] = ()
        self.exit_code: int | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()
        for fd in (self._wake_in, self._wake_out):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._hook_calls: deque[list[Assignment]] = deque()
        self._declared_dead: deque[int] = deque()
        self._changed: deque[list[str]] = deque()
        self._read_settings = reload
        self.reloader = Reloader(settings.root, self._on_changed) if reload is not None else None
        self._cancel_requests: deque[list[CancelRequest]] = deque()
        self._stack_requests: deque[list[StackRequest]] = deque()
        self._asked: dict[int, list[int]] = {}  # questions of what a job is doing, by job
        self._hooks: set[int] = set()  # ids of the calls that were taken up and are not accounted for
        self._owes_hooks = False
        self._were_queues_paused = False
        self._stop_requested_by: str | None = None
        self._progress_at = 0.0
        self._signals: deque[int] = deque()
        self._was_signalled = False
        self._stopping_since: float | None = None
        self._is_cut_off = False
        self._stock_moved_at = monotonic()
        self._active_at = monotonic()
        self._seen = 0
        self._is_loaded = False
        self._is_reloading = False
        self._flushing_since: float | None = None
        self._forced_exit_code = 0
        self.ownership = Ownership(0)
        self.janitor = Janitor()
        self.children = Children(
            child_settings(settings, self.processes),
            self._selector,
            self.wake,
            mark=self.janitor.mark,
            on_reports=self._on_reports,
            on_loaded=self._on_loaded,
            on_not_loaded=self._on_not_loaded,
            on_returned=self._on_returned,
            on_stack=self._on_stack,
        )
        self.completer = Completer(
            database, self.ownership, on_recorded=self._on_recorded, on_disowned=self._on_disowned
        )
        self.control = Control(
            database,
            self.ownership,
            on_cancel=self._on_cancel_requests,
            on_stack=self._on_stack_requests,
            on_hooks=self._on_hooks,
            hooks_wanted=lambda: not self._hooks and self._stopping_since is None,
            on_look=self._on_look,
        )
        self.preparer = Preparer(
            database, self.ownership, on_prepared=self.wake, on_impossible=self._on_reports
        )
        self.isolation = Isolation(self.children.dispatcher, self.ownership, self.preparer.begin, self._is_coroutine)
        self.listener: Listener | None = None
        waiting = Waiting()
        self.claimer, self.coroutine_claimer = (
            claimer(
                database,
                self.ownership,
                self.queues,
                on_delivered=self._on_delivered,
                may_sleep=self._is_listening,
                on_owed_hooks=self.control.look,
                preparer=self.preparer,
                waiting=waiting,
            )
            for claimer in (Claimer, CoroutineClaimer)
        )
        self.claimers = [self.claimer]
        if settings.concurrency > 1:
            self.claimers.append(self.coroutine_claimer)
            self.claimer.other, self.coroutine_claimer.other = self.coroutine_claimer, self.claimer
        self.maintenance = Maintenance(database, on_owed_hooks=self.control.look)
        self.heartbeat = Heartbeat(
            database,
            self.ownership,
            self._status,
            on_declared_dead=self._on_declared_dead,
            on_stop_requested=self._on_stop_requested,
            on_classes_known=self.maintenance.look_for_unknown,
        )
        self.scheduler = Scheduler(database, self.ownership)
        self.services: list[Service] = [
            *(self.completer, *self.claimers, self.heartbeat, self.control, self.maintenance, self.scheduler)
        ]
        if settings.listen and not settings.transaction_pooler:
            self.listener = Listener(
                database,
                on_hint=self._on_hint,
                on_control=self._on_control,
                on_connected_again=self._look_everywhere,
            )
            self.services.append(self.listener)
        if settings.stats_every:
            self.services.append(
                Reporter(
                    database,
                    self.queues,
                    processes=lambda: self.children.crew.count_ready(),
                    running=lambda: len(self.ownership.held()),
                    done=lambda: self.completer.tally.attempts,
                )
            )

    def run(self) -> int:
        self._register()
        self._catch_signals()
        try:
            self.janitor.keep_up()
            self.children.keep_up()
            for service in self.services:
                service.start()
            if self.reloader is not None:
                self.reloader.start()
            while self.exit_code is None:
                self._turn()
            return self.exit_code
        finally:
            self._leave()

    # One turn of the main loop

    def _turn(self) -> None:
        if seconds := self.children.dispatcher.seconds_to_gather():
            sleep(seconds)
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if isinstance(key.data, Child):
                self.children.inbox.hear(key.data)
            else:
                self._drain_wake_pipe()
        self.children.inbox.hear_rings()
        self._obey_signals()
        self._begin_anew_if_declared_dead()
        self._reload_if_changed()
        self.children.keep_up()
        self.janitor.keep_up()
        self._receive()
        self._obey_operators()
        self._tell_progress()
        if self._stopping_since is None:
            self.isolation.turn(keep_one=bool(self.stock))
            self.children.dispatcher.dispatch(self.stock)
            if self.coroutine_stock:
                self.children.dispatcher.dispatch_coroutines(self.coroutine_stock)
            self.children.dispatcher.rebalance()
            self._return_stale_stock()
            self._ask_for_more()
            self._stop_if_drained()
        else:
            self._stop_in_steps()

    def _seconds_to_wait(self) -> float:
        if self.children.dispatcher.holds_jobs_up():
            return RECALL_AFTER_SECONDS
        return self.children.seconds_to_next_look() or TICK_SECONDS

    def _receive(self) -> None:
        while self._hook_calls:
            self._take_in(self._hook_calls.popleft())
        for claimer in self.claimers:
            if claimed := claimer.take():
                self._take_in(claimed)
        if prepared := self.preparer.take():
            self._take_prepared(prepared)
        if begun := self.preparer.take_begun():
            self.isolation.begun(begun)

    def _take_prepared(self, prepared: Sequence[Assignment]) -> None:
        self.isolation.add([assignment for assignment in prepared if assignment.suspected])
        self._take_in([assignment for assignment in prepared if not assignment.suspected])

    def _take_in(self, batch: list[Assignment]) -> None:
        if self.coroutine_classes:
            self.coroutine_stock.extend(assignment for assignment in batch if self._is_coroutine(assignment))
            batch = [assignment for assignment in batch if not self._is_coroutine(assignment)]
        self.stock.extend(batch)
        self._stock_moved_at = monotonic()

    def _is_coroutine(self, assignment: Assignment) -> bool:
        return assignment.id > 0 and assignment.job_class in self.coroutine_classes

    def _ask_for_more(self) -> None:
        """From when a part of what may be held is used up a claim is worth it: it then runs while the children work."""
        most = self.children.dispatcher.free() + self._most_in_stock()
        is_behind = self.completer.backlog > MAX_UNRECORDED
        set_apart = self.preparer.held + len(self.isolation)
        self.claimer.want(0 if is_behind else most - len(self.stock) - set_apart, least=max(1, int(most * USED_UP)))
        if self.coroutine_classes:
            places = self.children.dispatcher.free_for_coroutines() - len(self.coroutine_stock) - set_apart
            self.coroutine_claimer.want(0 if is_behind else places)

    def _most_in_stock(self) -> int:
        """How many jobs may wait here, by how long they take: none where they are long, hundreds where short."""
        seconds = self.children.pace.mean_seconds
        if seconds is None:
            return 0
        at_current = self.children.dispatcher.seconds_at_current()
        if at_current is not None and at_current > RECALL_AFTER_SECONDS:  # until then it may only not be heard yet
            seconds = max(seconds, at_current)
        most = self.settings.max_pending_per_process * self.processes
        return min(most, int(STOCK_SECONDS * self.processes / max(seconds, 1e-6)))

    def _return_stale_stock(self) -> None:
        now = monotonic()
        if self.isolation.is_stuck:
            self._give_back_stock()
        is_moving = not self.stock or self.children.dispatcher.free()
        if is_moving and (not self.coroutine_stock or self.children.dispatcher.free_for_coroutines()):
            self._stock_moved_at = now
        elif now - self._stock_moved_at > STALE_STOCK_SECONDS:
            self._give_back_stock()

    def _give_back_stock(self) -> None:
        if len(self.isolation) or self.preparer.held:
            self._take_in([*self.isolation.withdraw_all(), *self.preparer.take(), *self.preparer.withdraw()])
        if self.coroutine_stock:
            # By the one that claims them, so that the one happens before the other.
            self.coroutine_claimer.give_back(list(self.coroutine_stock))
            self.coroutine_stock.clear()
        if not self.stock:
            return
        if self._hooks and (hooks := [-assignment.id for assignment in self.stock if assignment.id < 0]):
            self._hooks.difference_update(hooks)
            self.control.leave(hooks)
        self.claimer.give_back([assignment for assignment in self.stock if assignment.id > 0])
        self.stock.clear()

    # What developers do

    def _reload_if_changed(self) -> None:
        """Settings of the worker itself stay as they are: only its children are made anew."""
        if not self._changed or self._read_settings is None or self._stopping_since is not None:
            return
        changed = sorted({name for names in self._changed for name in names})
        self._changed.clear()
        log.info("reloading changed=%s", ",".join(changed[:5]) + (",…" if len(changed) > 5 else ""))
        try:
            settings = self._read_settings()
        except ConfigurationError as error:
            log.error("the settings cannot be used; going on as before error=%s", error)
            return
        self._is_reloading = True
        self.children.crew.renew(child_settings(settings, self.processes))

    # What operators want

    def _obey_operators(self) -> None:
        if self._stop_requested_by is not None and self._stopping_since is None:
            log.info("asked to stop by=%s", self._stop_requested_by)
            self._begin_to_stop()
        while self._cancel_requests:
            for request in self._cancel_requests.popleft():
                self._cancel(request)
        while self._stack_requests:
            for question in self._stack_requests.popleft():
                self._ask_stack(question)
        if self._were_queues_paused:
            # What has not started is given back; a claim finds out which of it may be worked.
            self._were_queues_paused = False
            self.children.dispatcher.recall_all()
            self._give_back_stock()

    def _cancel(self, request: CancelRequest) -> None:
        """Ends a job that is here: it comes back unstarted, or is stopped. What has ended meanwhile is left alone."""
        message = f"cancelled by {request.requested_by}"
        if self.children.cancel(request.job_id, request.attempt, message):
            return
        if (assignment := self._withdraw(request.job_id, request.attempt)) is not None:
            self._on_reports([cancelled_unstarted(assignment, message)])

    def _withdraw(self, job_id: int, attempt: int) -> Assignment | None:
        """Takes a job that no child has out of wherever it waits."""
        for stock in (self.stock, self.coroutine_stock):
            for assignment in stock:
                if (assignment.id, assignment.attempt) == (job_id, attempt):
                    stock.remove(assignment)
                    return assignment
        if unloaded := self.preparer.withdraw((job_id, attempt)):
            return unloaded[0]
        return self.isolation.withdraw(job_id, attempt)

    def _ask_stack(self, question: StackRequest) -> None:
        askers = self._asked.setdefault(question.job_id, [])
        if question.id in askers:
            return
        askers.append(question.id)
        if not self.children.ask_stack(question.job_id, question.attempt):
            self._on_stack(question.job_id, "it is claimed, and has not begun; or it has just ended")

    def _tell_progress(self) -> None:
        now = monotonic()
        if now < self._progress_at:
            return
        self._progress_at = now + PROGRESS_EVERY_SECONDS
        if said := self.children.inspector.progress():
            self.control.tell_progress(said)

    # Ending

    def _stop_if_drained(self) -> None:
        """Drained: a look that began after the last sign of work found nothing, and nothing is under way."""
        if not self.drain:
            return
        recorded = self.completer.tally.attempts  # what was recorded may have put a retry into the queue
        is_delivered = self._hook_calls or any(claimer.has_delivered for claimer in self.claimers)
        is_set_apart = self.preparer.held or len(self.isolation)
        is_held = self.stock or self.coroutine_stock or is_set_apart or is_delivered or not self.children.crew.is_idle
        is_to_be_written = self.completer.backlog or any(claimer.has_to_give_back for claimer in self.claimers)
        if is_held or is_to_be_written or recorded != self._seen:
            self._seen = recorded
            self._active_at = monotonic()
            return
        if self.control.classes and (self._hooks or (self.control.looked_in_vain_at or 0.0) <= self._active_at):
            if not self._hooks:
                self.control.look()
            return
        looks = [claimer.empty_look_began for claimer in self.claimers if claimer.classes]
        began = min((look for look in looks if look is not None), default=None) if None not in looks else None
        if began is not None and began > self._active_at:
            log.info("drained done=%s", self.completer.tally.attempts)
            self._begin_to_stop()
        elif began is not None:
            self._claim_anew()

    def _begin_to_stop(self) -> None:
        """The first signal, or an operator: nothing is claimed, what is not begun goes back, what runs may end."""
        self._stopping_since = monotonic()
        for claimer in self.claimers:
            claimer.stop_claiming()
        self.children.dispatcher.recall_all()
        self._receive()
        self._give_back_stock()
        self.children.crew.close()
        self.heartbeat.wake()  # its row says so at once
        log.info(
            "stopping running=%s grace_seconds=%g", self.children.crew.count_held(), self.settings.shutdown_grace
        )

    def _stop_in_steps(self) -> None:
        assert self._stopping_since is not None
        self._receive()
        self._give_back_stock()
        elapsed = monotonic() - self._stopping_since
        if not self._is_cut_off and not self.children.crew.is_idle and elapsed > self.settings.shutdown_grace:
            self._cut_off(f"the worker stopped, and the job had not ended within {self.settings.shutdown_grace:g} s")
        if not self.children.crew.is_empty:
            return
        has_to_give_back = any(claimer.has_to_give_back for claimer in self.claimers)
        if self.completer.backlog or has_to_give_back or self.control.has_to_write:
            self._flushing_since = self._flushing_since or monotonic()
            if monotonic() - self._flushing_since < FLUSH_SECONDS:
                return
            log.error(
                "results could not be recorded; these jobs will run again jobs=%s", len(self.ownership.held())
            )
            self.exit_code = 1
            return
        self.exit_code = self._forced_exit_code

    def _cut_off(self, reason: str) -> None:
        self._is_cut_off = True
        if running := self.children.crew.count_held():
            log.warning("cutting off jobs=%s reason=%s", running, reason)
        self.children.crew.cut_off_all(reason)

    def _leave(self) -> None:
        """Ends every service and child, and signs off; a database that is away must not hold the exit up."""
        if self.reloader is not None:
            self.reloader.stop()
        self.children.crew.cut_off_all("the worker has ended")
        for service in (*self.services, self.preparer):
            service.stop(timeout=0.0 if service is self.listener else 2.0)  # it sits in a wait without a statement
        deadline = monotonic() + 2.0
        while not self.children.crew.is_empty and monotonic() < deadline:
            self.children.keep_up()
            self._selector.select(0.02)
        self.janitor.close()
        try:
            with self.database.connect("worker sign off") as connection:
                workers.stop(connection, self.database.schema, worker_id=self.ownership.worker_id)
        except Exception as error:  # noqa: BLE001 - the edge of the process: others will find it silent
            log.warning("could not sign off error=%s", self.database.said(error))
        self._selector.close()
        for fd in (self._wake_in, self._wake_out):
            os.close(fd)
        log.info("stopped worker=%s done=%s", self.ownership.worker_id, self.completer.tally.attempts)

    # What the children say

    def _on_reports(self, reports: list[Report]) -> None:
        if self._hooks:
            reports = [report for report in reports if not self._is_of_hook(report)]
        self.completer.add(reports)
        if any(map(IS_ABORTED, reports)):
            self._owes_hooks = True

    def _is_of_hook(self, report: Report) -> bool:
        """Accounts for a call of on_aborted(); what went wrong in it is logged, and changes nothing."""
        hook = -report.id
        if hook not in self._hooks:
            return False
        self._hooks.discard(hook)
        if report.error_type == "CutOff":
            self.control.leave([hook])
            return True
        if report.error_type is not None:
            log.error(
                "on_aborted failed error=%s: %s%s",
                report.error_type,
                report.error_message,
                f"\n{report.traceback}" if report.traceback else "",
            )
        self.control.made([hook])
        return True

    def _on_stack(self, job_id: int, stack: str) -> None:
        if askers := self._asked.pop(job_id, None):
            self.control.answer(askers, stack)

    def _on_returned(self, assignments: list[Assignment]) -> None:
        """Jobs that a child gave up unstarted go back to the front of the stock, in their order."""
        if suspects := [assignment for assignment in assignments if assignment.suspected]:
            assignments = [assignment for assignment in assignments if not assignment.suspected]
            self.isolation.add(suspects)
        coroutines = [assignment for assignment in assignments if self._is_coroutine(assignment)]
        if coroutines:
            assignments = [assignment for assignment in assignments if not self._is_coroutine(assignment)]
            self.coroutine_stock.extendleft(reversed(coroutines))
        self.stock.extendleft(reversed(assignments))

    def _on_loaded(self, loaded: dict[str, Any]) -> None:
        classes = tuple(ClassRecord.from_json(entry) for entry in loaded["classes"])
        schedules = tuple(DeclaredSchedule(**entry) for entry in loaded["schedules"])
        is_known = self._is_loaded and (classes, schedules) == (self.classes, self.schedules)
        if is_known and not self._is_reloading:
            return
        if self._is_reloading:
            self._is_reloading = False
            self._give_back_stock()  # a claim finds out which of it the new code knows
        self._is_loaded = True
        self.classes = classes
        self.schedules = schedules
        self.heartbeat.tell(classes)
        self.scheduler.tell(schedules)
        self._tell_claimers(classes)
        self.control.classes = tuple(name for record in classes if record.has_abort_hook for name in record.names)
        self.control.look()
        self._claim_anew()
        log.info(
            "application loaded classes=%s schedules=%s modules=%s",
            *(len(classes), len(schedules), ",".join(loaded["modules"])),
        )

    def _on_not_loaded(self, message: str, user_traceback: str) -> None:
        """The first child could not import the application: that is the user's to mend. Later ones are tried again."""
        sys.stderr.write(plain(user_traceback, 20_000))
        if self._is_loaded:
            log.error("a new child could not load the application; the others go on error=%s", message)
            return
        sys.stderr.write(f"jobq: error: {plain(message)}\n")
        self.exit_code = 2

    def _tell_claimers(self, classes: tuple[ClassRecord, ...]) -> None:
        """Coroutines are claimed apart where children run them side by side."""
        coroutines = [record for record in classes if record.is_coroutine and self.settings.concurrency > 1]
        self.coroutine_classes = frozenset(name for record in coroutines for name in record.names)
        self.coroutine_claimer.classes = tuple(self.coroutine_classes)
        self.claimer.classes = tuple(name for record in classes if record not in coroutines for name in record.names)

    def _claim_anew(self) -> None:
        for claimer in self.claimers:
            claimer.look()

    # What the services say (in their threads)

    def _on_changed(self, names: list[str]) -> None:
        self._changed.append(names)
        self.wake()

    def _on_declared_dead(self, worker_id: int) -> None:
        self._declared_dead.append(worker_id)
        self.wake()

    def _on_hooks(self, hooks: list[Assignment]) -> None:
        self._hooks.update(-hook.id for hook in hooks)
        self._hook_calls.append(hooks)
        self.wake()

    def _on_recorded(self) -> None:
        if self._owes_hooks:
            self._owes_hooks = False
            self.control.look()
        self.preparer.recorded()
        self.wake()

    def _on_delivered(self) -> None:
        if self.listener is not None:
            self.listener.was_useful()
        self.wake()

    def _on_hint(self, queue: str) -> None:
        for claimer in self.claimers:
            claimer.hint(queue)

    def _on_control(self, payload: str) -> None:
        """An operator wants something of the worker that is named; of all, if none is: queues were paused."""
        if payload == "":
            self._were_queues_paused = True
            self.wake()
        elif payload == str(self.ownership.worker_id):
            self.control.look()
            self.heartbeat.wake()  # it may be the worker itself that is to stop

    def _on_stop_requested(self, requested_by: str) -> None:
        self._stop_requested_by = requested_by
        self.wake()

    def _on_cancel_requests(self, requests: list[CancelRequest]) -> None:
        self._cancel_requests.append(requests)
        self.wake()

    def _on_stack_requests(self, questions: list[StackRequest]) -> None:
        self._stack_requests.append(questions)
        self.wake()

    def _on_look(self, beats: Mapping[int, float], has_left: bool) -> None:
        self.maintenance.looked(beats, has_left)

    def _look_everywhere(self) -> None:
        """Hints may have been lost."""
        self._claim_anew()
        self.control.look()

    def _on_disowned(self) -> None:
        """A report came too late: the heartbeat finds out at once whether this worker was declared dead."""
        self.heartbeat.wake()

    def _is_listening(self) -> bool:
        return self.listener is not None and self.listener.is_connected

    def wake(self) -> None:
        try:
            os.write(self._wake_out, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already
        except OSError:
            return  # the main loop has ended; a thread that outlived it has nobody to wake

    def _drain_wake_pipe(self) -> None:
        try:
            os.read(self._wake_in, 1 << 16)
        except BlockingIOError:
            return

    def _status(self) -> dict[str, Any]:
        return {
            "children": self.children.inspector.status(),
            "begun": self.children.inspector.begun(),
            "done": self.completer.tally.attempts,
            # Also where it is not: one that does not say it is of a release that cannot be asked to stop.
            "stopping": self._stopping_since is not None,
        }

    # Identity

    def _register(self) -> None:
        with self.database.explained(), self.database.connect("worker") as connection:
            worker_id = workers.register(
                connection,
                self.database.schema,
                host=host_name(),
                pid=os.getpid(),
                version=jobq.__version__,
                processes=self.processes,
                queues=self.queues,
                classes=self.classes,
            )
        self.ownership.begin_anew(worker_id)
        self.children.crew.tell_worker(worker_id)
        log.info(
            "worker started worker=%s host=%s pid=%s processes=%s queues=%s",
            worker_id,
            host_name(),
            os.getpid(),
            self.processes,
            ",".join(self.queues) or "all",
        )

    def _begin_anew_if_declared_dead(self) -> None:
        """Drops what is no longer ours: the jobs run elsewhere by now, and late reports would change nothing."""
        if not self._declared_dead:
            return
        worker_id = self._declared_dead.popleft()
        if worker_id != self.ownership.worker_id:
            return
        held = len(self.ownership.held())
        log.warning("this worker was declared dead; starting anew worker=%s jobs_dropped=%s", worker_id, held)
        self.children.dispatcher.recall_all()
        self.children.crew.drop_all_jobs("its job belongs to another worker by now")
        self._hook_calls.clear()
        for claimer in self.claimers:
            claimer.take()
        self.stock.clear()
        self.coroutine_stock.clear()
        self.preparer.drop_all()
        self.isolation.withdraw_all()
        self._hooks.clear()
        self.completer.drop_all()
        try:
            self._register()
        except JobqError as error:
            log.warning("could not register anew error=%s", error)
            self._declared_dead.append(worker_id)  # the heartbeat finds out again
            self.heartbeat.wake()
            return
        self._claim_anew()
        self.scheduler.wake()

    # Signals

    def _catch_signals(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as who started this may have it, no death is told
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)
        self.wake()

    def _obey_signals(self) -> None:
        while self._signals:
            number = signal.Signals(self._signals.popleft())
            log.info("signal received name=%s", number.name)
            is_first, self._was_signalled = not self._was_signalled, True
            if self._stopping_since is None:
                self._begin_to_stop()
            elif not is_first and not self._is_cut_off:  # the first may find it stopping already, at an operator's word
                self._forced_exit_code = SECOND_SIGNAL_EXIT_CODES[number]
                self._cut_off(f"the worker was told to stop at once ({number.name})")
