"""Work that any one worker does for all: declares silent workers dead, rescues their jobs, keeps the history."""

import logging
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic

from jobq.names import suggestion
from jobq.queue_choice import QueueChoice
from jobq.runtime import attempts_log
from jobq.runtime.duties import NO_DUTIES, Duties
from jobq.runtime.locks import AGAIN_SECONDS
from jobq.runtime.service import Service, jittered
from jobq.runtime.vigil import Vigil
from jobq.store import audit, control, gates, history, jobs, keys, logs, metrics, queues, waiting_retries, workers
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker.maintenance")

TICK_SECONDS = 45.0
"""Jittered, this is within every minute, for which levels are recorded. Workers that are gone are noticed earlier, by
Control."""

HISTORY_EVERY_SECONDS = 600.0
UNKNOWN_EVERY_SECONDS = 60.0
FOLD_EVERY_SECONDS = 60.0

GATES_EVERY_SECONDS = 60.0
"""Declarations of gates are compared this often: the worker whose word counted may have gone."""

UNNOTED_EVERY_SECONDS = 300.0
"""Jobs that somebody set running by hand are looked for this rarely, since that reads the whole table."""


class Maintenance(Service):
    name = "maintain"
    keeps_connection = False

    def __init__(
        self,
        database: Database,
        choice: QueueChoice,
        duties: Duties = NO_DUTIES,
        *,
        on_owed_hooks: Callable[[], None],
    ) -> None:
        super().__init__(database)
        self._duties = duties
        self._on_owed_hooks = on_owed_hooks
        self._vigil = Vigil(database.settings)
        self._history_at = 0.0
        self._fold_at = 0.0
        self._gates_at = monotonic() + jittered(GATES_EVERY_SECONDS)
        self._unnoted_at = 0.0
        self._unknown_at = inf
        self._unknown: frozenset[str] = frozenset()
        self._unproven_queues = choice.names
        self.given_up = 0  # rescued jobs that were lost too often, and rest

    def looked(self, beats: Mapping[int, float], has_left: bool) -> None:
        """Control has looked at the database: the last heartbeat of each live worker, and whether one has left lately.
        Called in its thread."""
        self._vigil.look(beats)
        if has_left or self._vigil.standing_still():
            self.wake()

    def look_for_unknown(self) -> None:
        """Compares waiting jobs with the classes that workers know, soon: this worker's own classes are known now."""
        self._unknown_at = 0.0
        self.wake()

    def tick(self, connection: Connection) -> float | None:
        """Each part is skipped if an open transaction is in its way. The others continue."""
        schema, do = self.database.schema, self.locks.do
        if monotonic() >= self._unnoted_at:
            do(connection, "jobs that were set running by hand", lambda: self._note_claims(connection))
            self._unnoted_at = monotonic() + jittered(UNNOTED_EVERY_SECONDS)
        is_rescued = do(connection, "the rescue of jobs", lambda: self._rescue(connection))
        do(connection, "retries that wait for a build", lambda: self._retry_for_operators(connection))
        if monotonic() >= self._gates_at:
            do(connection, "gates", lambda: self._declare_gates(connection))
            self._gates_at = monotonic() + jittered(GATES_EVERY_SECONDS)
        do(connection, "levels", lambda: metrics.take_levels(connection, schema))
        if monotonic() >= self._history_at:
            self._keep_history(connection)
            self._history_at = monotonic() + jittered(HISTORY_EVERY_SECONDS)
        if monotonic() >= self._fold_at:
            do(connection, "the folding of figures", lambda: metrics.fold(connection, schema))
            self._fold_at = monotonic() + jittered(FOLD_EVERY_SECONDS)
        if monotonic() >= self._unknown_at:
            do(connection, "unknown classes", lambda: self._report_unknown(connection))
            do(connection, "queues that never were", lambda: self._report_new_queues(connection))
            self._unknown_at = monotonic() + UNKNOWN_EVERY_SECONDS
        return jittered(TICK_SECONDS if is_rescued else AGAIN_SECONDS)

    def _declare_gates(self, connection: Connection) -> None:
        """The worker whose declarations count may have gone."""
        grace = self.database.settings.cancel_grace
        for name in gates.declare(connection, self.database.schema, loss_wait_seconds=grace, only_known=True):
            log.info("the declaration of a gate changed gate=%s", name)
        gates.forget_lanes(connection, self.database.schema)

    def _note_claims(self, connection: Connection) -> None:
        for worker_id, count in workers.note_claims(connection, self.database.schema).items():
            log.warning("jobs were set running by hand worker=%s jobs=%s", worker_id, count)

    def _rescue(self, connection: Connection) -> None:
        settings, schema = self.database.settings, self.database.schema
        self._declare_dead(connection)
        spread = settings.heartbeat_timeout / 2
        while rescued := workers.rescue(connection, schema, max_losses=settings.max_losses, spread=spread):
            if any(job.is_owed_hook for job in rescued):
                self._on_owed_hooks()
            for job in rescued:
                attempts_log.tell(ended_with_its_worker(job))
            again = sum(job.retried for job in rescued)
            self.given_up += len(rescued) - again
            ended = len(rescued) - again
            log.warning("rescued jobs of dead workers jobs=%s requeued=%s ended=%s", len(rescued), again, ended)
        workers.forget_claims(connection, schema)

    def _declare_dead(self, connection: Connection) -> None:
        """Workers whose heartbeat stands still. One whose row is locked cannot write it: it gets the same time
        again."""
        still, timeout = self._vigil.standing_still(), self.database.settings.heartbeat_timeout
        if not still:
            return
        found = workers.silence(connection, self.database.schema, still, timeout=timeout)
        for silent in found.silenced:
            log.warning("worker declared dead worker=%s/%s heartbeat_timeout=%g", silent.host, silent.pid, timeout)
        if found.locked:
            self._vigil.watch_anew(found.locked)
            log.warning("workers that may not be able to report: their rows are locked workers=%s", found.locked)

    def _retry_for_operators(self, connection: Connection) -> None:
        if waiting_retries.is_any_due(connection, self.database.schema):
            self._duties.do_waiting_retries()

    def _keep_history(self, connection: Connection) -> None:
        schema, days, do = self.database.schema, self.database.settings.job_history_days, self.locks.do
        do(connection, "partitions of the history", lambda: self._keep_partitions(connection, days))
        do(connection, "old workers", lambda: history.forget_workers(connection, schema, keep_days=days))
        do(connection, "old deploys", lambda: history.forget_deploys(connection, schema, keep_days=days))
        do(connection, "old questions", lambda: control.forget_stacks(connection, schema))
        do(connection, "old followers", lambda: logs.forget_follows(connection, schema))
        do(connection, "old figures", lambda: metrics.forget(connection, schema, keep_days=days))
        do(connection, "what acts kept", lambda: audit.forget_kept(connection, schema))
        do(connection, "old unique keys", lambda: keys.forget_throttles(connection, schema))

    def _keep_partitions(self, connection: Connection, days: int) -> None:
        history.make_partitions(connection, self.database.schema)
        for day in history.drop_old_partitions(connection, self.database.schema, keep_days=days):
            log.info("history dropped day=%s", day)

    def _report_unknown(self, connection: Connection) -> None:
        """Logs once for each class that no worker can run its jobs, and again if it comes back."""
        schema = self.database.schema
        found = {job_class: count for job_class, count, *_ in jobs.unknown_classes(connection, schema)}
        new = sorted(found.keys() - self._unknown)
        names = [record.name for record in workers.known_classes(connection, schema)] if new else []
        for job_class in new:
            meant = suggestion(job_class, names)
            module = job_class.rpartition(".")[0]
            remedy = meant or f"Deploy the code that has it, or name its module: --app {module}"
            log.warning("no worker knows %s jobs=%s (%s)", job_class, found[job_class], remedy)
        self._unknown = frozenset(found)

    def _report_new_queues(self, connection: Connection) -> None:
        """Logs once which of this worker's queue names were never used: a name may be a typo."""
        names, self._unproven_queues = self._unproven_queues, ()
        if not names:
            return
        known = queues.known(connection, self.database.schema)
        for name in queues.never_seen(connection, self.database.schema, names):
            meant = suggestion(name, known)
            log.warning("no job was ever in queue %s, and no class names it%s", name, meant and f" ({meant})")


def ended_with_its_worker(job: workers.Rescued) -> attempts_log.Ended:
    return attempts_log.Ended(
        outcome=job.outcome,
        id=job.id,
        job_class=job.job_class,
        queue=job.queue,
        attempt=job.attempt,
        retries=job.retries,
        excused=job.excused,
        error=f"WorkerLost: {job.error}",
        retry_delay=job.delay if job.retried else None,
    )
