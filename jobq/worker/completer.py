"""Writes the reports of ended attempts: whatever gathered while the last statement ran goes into the next.

There is no timer: a lone job is recorded at once, and under load the batches grow by themselves.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from jobq.records import Report
from jobq.states import Outcome
from jobq.store import jobs
from jobq.store.database import Connection, Database
from jobq.worker.ownership import Ownership
from jobq.worker.rollup import Rollup
from jobq.worker.service import Service

log = logging.getLogger("jobq.worker.completer")

MAX_BATCH = 1000


@dataclass(slots=True)
class Tally:
    """What has been recorded since the start of the worker."""

    attempts: int = 0
    retried: int = 0
    disowned: int = 0  # reports that came too late: the job was somebody else's by then


class Completer(Service):
    """Records reports. While the database is away they wait in memory, in order."""

    name = "finish"

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        *,
        on_recorded: Callable[[], None],
        on_disowned: Callable[[], None],
    ) -> None:
        super().__init__(database)
        self.ownership = ownership
        self.tally = Tally()
        self.rollup = Rollup(database.schema, ownership)
        self._on_recorded = on_recorded
        self._on_disowned = on_disowned
        self._lock = threading.Lock()
        self._waiting: list[Report] = []
        self._writing: list[Report] = []

    def add(self, reports: Sequence[Report]) -> None:
        with self._lock:
            self._waiting.extend(reports)
        self.wake()

    def drop_all(self) -> int:
        """Forgets what is not recorded yet: the jobs belong to somebody else."""
        with self._lock:
            dropped = len(self._waiting)
            self._waiting.clear()
        return dropped

    @property
    def backlog(self) -> int:
        """How many reports are not in the database yet."""
        with self._lock:
            return len(self._waiting) + len(self._writing)

    def tick(self, connection: Connection) -> float | None:
        with self._lock:
            if not self._writing:
                self._writing, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        if not self._writing:
            return self.rollup.send_when_due(connection)
        # What fails in between is tried again with the next connection: the fence makes that harmless.
        self._record(connection, self._writing)
        with self._lock:
            self._writing = []
            more = bool(self._waiting)
        self._on_recorded()
        wait = self.rollup.send_when_due(connection)
        return 0.0 if more else wait

    def on_stopping(self, connection: Connection) -> None:
        self.rollup.send(connection)

    def _record(self, connection: Connection, reports: list[Report]) -> None:
        """Records a batch; where PostgreSQL refuses a value in it, halves of it, down to the culprit."""
        try:
            self._write(connection, reports)
        except Exception as error:
            if not jobs.is_refusal_of_data(error):
                raise
            if len(reports) == 1:
                self._write(connection, [without_refused(reports[0], error)])
                return
            middle = len(reports) // 2
            self._record(connection, reports[:middle])
            self._record(connection, reports[middle:])

    def _write(self, connection: Connection, reports: list[Report]) -> None:
        worker_id = self.ownership.worker_id
        final = [report for report in reports if report.retry_delay is None]
        retried = [report for report in reports if report.retry_delay is not None]
        recorded = 0
        now = monotonic()
        for record, given in ((jobs.finish, final), (jobs.retry, retried)):
            if given:
                done = record(connection, self.database.schema, worker_id=worker_id, reports=given, now=now)
                self.rollup.add(done.counts)
                recorded += done.attempts
        self.ownership.accounted([(report.id, report.attempt) for report in reports])
        self.tally.attempts += recorded
        self.tally.retried += len(retried)
        if recorded < len(reports):
            self.tally.disowned += len(reports) - recorded
            log.warning("reports came too late jobs=%s", len(reports) - recorded)
            self._on_disowned()


def without_refused(report: Report, error: BaseException) -> Report:
    """A report whose text or value PostgreSQL would not store, with that said in its place."""
    reason = " ".join(str(error).split())[:500].encode("ascii", "backslashreplace").decode()
    kept = report.outcome == Outcome.SUCCESSFUL
    return report._replace(
        value=None,
        error_type=None if kept else "NotStorable",
        error_message=None if kept else f"what this attempt reported could not be stored: {reason}",
        traceback=None,
    )
