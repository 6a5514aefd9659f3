"""Records the reports of ended attempts: reports that gather while one statement runs go into the next.

There is no timer: a lone job is recorded at once, and under load the batches grow by themselves.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from jobq.records import Count, Report
from jobq.runtime.ownership import Ownership
from jobq.runtime.rollup import Rollup
from jobq.runtime.service import Service, sooner
from jobq.states import Outcome
from jobq.store import jobs
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker.completer")

MAX_BATCH = 1000

FAILURES = frozenset({Outcome.ERRORED.value, Outcome.LOST.value})

LOCK_SECONDS = 0.5
"""Seconds to wait for a locked row: a job that completes itself holds its row until its transaction ends, and the
reports of others must not wait for that."""

LOCKED_AGAIN_SECONDS = 1.0


@dataclass(slots=True)
class Tally:
    """The reports recorded since the start of the worker."""

    attempts: int = 0
    failed: int = 0  # of these, errored or lost
    retried: int = 0
    unsuccessful: int = 0  # jobs that came to rest without success


class Completer(Service):
    """Records reports. While the database is down they wait in memory, in order."""

    name = "finish"
    lock_seconds = LOCK_SECONDS

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
        self.rollup = Rollup(database.schema, ownership, self.locks)
        self._on_recorded = on_recorded
        self.on_counts: list[Callable[[Sequence[Count]], None]] = []  # called with everything that is recorded
        self._on_disowned = on_disowned
        self._lock = threading.Lock()
        self._waiting: list[Report] = []
        self._writing: list[Report] = []
        self._locked: list[Report] = []  # of jobs whose own transaction is still open
        self._locked_at = 0.0

    def add(self, reports: Sequence[Report]) -> None:
        with self._lock:
            self._waiting.extend(reports)
        self.wake()

    def drop_all(self) -> int:
        """Forgets reports that are not recorded yet: the jobs belong to another worker now."""
        with self._lock:
            dropped = len(self._waiting) + len(self._locked)
            self._waiting.clear()
            self._locked.clear()
        return dropped

    @property
    def backlog(self) -> int:
        """How many reports are not in the database yet."""
        with self._lock:
            return len(self._waiting) + len(self._writing) + len(self._locked)

    def tick(self, connection: Connection) -> float | None:
        with self._lock:
            if self._locked and monotonic() >= self._locked_at:
                self._waiting += self._locked
                self._locked = []
            if not self._writing:
                self._writing, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        if not self._writing:
            wait = self.rollup.send_when_due(connection)
            return sooner(wait, max(0.0, self._locked_at - monotonic()) if self._locked else None)
        # Work that fails in between is repeated on the next connection, which the fence makes harmless. Each kind is
        # recorded apart, so that a failure of one does not record the other twice.
        for reports in (
            [report for report in self._writing if report.retry_delay is None],
            [report for report in self._writing if report.retry_delay is not None],
        ):
            if reports:
                self._record(connection, reports)
        with self._lock:
            self._writing = []
            more = bool(self._waiting)
        self._on_recorded()
        wait = self.rollup.send_when_due(connection)
        if more:
            return 0.0
        return sooner(wait, LOCKED_AGAIN_SECONDS if self._locked else None)

    def on_stopping(self, connection: Connection) -> None:
        self.rollup.send(connection)

    def _record(self, connection: Connection, reports: list[Report]) -> None:
        """Records a batch. If a value in it is refused, or a row is locked, records halves of it, down to the
        culprit."""
        try:
            self._write(connection, reports)
        except Exception as error:
            is_locked = jobs.is_lock_timeout(error)
            if not is_locked and not jobs.is_refusal_of_data(error):
                raise
            if len(reports) == 1 and is_locked:
                with self._lock:
                    self._locked += reports
                    self._locked_at = monotonic() + LOCKED_AGAIN_SECONDS
                return
            if len(reports) == 1:
                self._write_without_refused(connection, reports[0], error)
                return
            middle = len(reports) // 2
            self._record(connection, reports[:middle])
            self._record(connection, reports[middle:])

    def _write_without_refused(self, connection: Connection, report: Report, error: Exception) -> None:
        """A single report that is refused is dropped: if it were sent again and again, it would block all later
        ones."""
        try:
            self._write(connection, [without_refused(report, error)])
        except Exception as again:
            if not jobs.is_refusal_of_data(again):
                raise
            log.exception("a report cannot be stored, and is dropped job=%s attempt=%s", report.id, report.attempt)

    def _write(self, connection: Connection, reports: list[Report]) -> None:
        worker_id = self.ownership.worker_id
        is_retry = reports[0].retry_delay is not None  # all of them, or none
        record = jobs.retry if is_retry else jobs.finish
        with self.locks.limited(connection):
            done = record(connection, self.database.schema, worker_id=worker_id, reports=reports, now=monotonic())
        self._count(done.counts)
        recorded = done.attempts
        self.ownership.accounted([(report.id, report.attempt) for report in reports])
        if recorded < len(reports):
            recorded += self._completed_by_themselves(connection, reports)
        self.tally.attempts += recorded
        self.tally.retried += len(reports) if is_retry else 0
        if recorded < len(reports):
            log.warning("reports came too late jobs=%s", len(reports) - recorded)
            self._on_disowned()

    def _completed_by_themselves(self, connection: Connection, reports: list[Report]) -> int:
        """How many of these attempts the history has as successful already: recorded by the job itself, or by us when
        the answer was lost. Later reports on them add nothing."""
        attempts = [(report.id, report.attempt) for report in reports]
        found = jobs.count_successful(
            connection, self.database.schema, worker_id=self.ownership.worker_id, attempts=attempts
        )
        self._count(found.counts)
        return found.attempts

    def _count(self, counts: Sequence[Count]) -> None:
        self.rollup.add(counts)
        self.tally.failed += sum(count.attempts for count in counts if count.outcome in FAILURES)
        self.tally.unsuccessful += sum(count.attempts for count in counts if is_failure(count))
        for told in self.on_counts:
            told(counts)


def is_failure(count: Count) -> bool:
    """Whether it counts jobs that came to rest without success."""
    return not count.retried and count.outcome != Outcome.SUCCESSFUL


def without_refused(report: Report, error: BaseException) -> Report:
    """A report whose text or value PostgreSQL refuses, with a note in its place."""
    reason = " ".join(str(error).split())[:500].encode("ascii", "backslashreplace").decode()
    kept = report.outcome == Outcome.SUCCESSFUL
    group = report.fingerprint or ""
    return report._replace(
        cpu_microseconds=None,
        peak_memory_kilobytes=None,
        value=None,
        error_type=None if kept else "NotStorable",
        error_message=None if kept else f"what this attempt reported could not be stored: {reason}",
        traceback=None,
        # Without a group, a failure would be missing among the needs.
        fingerprint=group if group.isascii() and group.isalnum() else None,
        frame=None,
    )
