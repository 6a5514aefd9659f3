"""Keeps lines of jobs in the database: those of attempts that failed, and those that somebody is to see now.

Rare, so its thread and connection are made when there are lines for the first time. Bounded each way: how many bytes
wait here, how many go out a second, how much of the disk one day may take. What does not fit is left out and counted;
it never holds a result up, since those go another way.
"""

import logging
import threading
from collections import deque
from time import monotonic

from jobq.records import LogPart
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service
from jobq.store import logs
from jobq.store.database import Connection, Database
from jobq.store.jobs import is_refusal_of_data

log = logging.getLogger("jobq.worker.logs")

BYTES_PER_SECOND = 200_000
MAX_BURST_BYTES = 1 << 20
"""What a worker that was quiet may send at once."""

MAX_WAITING_BYTES = 4 << 20
MAX_AT_ONCE_BYTES = 512 << 10
PART_BYTES = 200
"""Of a row, beside its lines."""

DAY_EVERY_SECONDS = 30.0
TELL_EVERY_SECONDS = 60.0
MEGABYTE = 1_000_000


class LogKeeper(Service):
    name = "logs"

    def __init__(self, database: Database, ownership: Ownership) -> None:
        super().__init__(database)
        self.ownership = ownership
        self._lock = threading.Lock()
        self._is_started = False
        self._waiting: deque[LogPart] = deque()
        self._waiting_bytes = 0
        self._writing: list[LogPart] = []
        self._to_drop: list[tuple[int, int]] = []
        self._left_out = 0  # lines, since that was told last
        self._tell_at = 0.0
        self._credit = float(MAX_BURST_BYTES)  # bytes that may go out now …
        self._credit_at = monotonic()  # … as of then
        self._is_day_full = False
        self._day_at = 0.0

    # Called by the main loop

    def add(self, part: LogPart) -> None:
        """Keeps these lines; where too much waits already, only that they were said."""
        with self._lock:
            if self._waiting_bytes + size_of(part) > MAX_WAITING_BYTES:
                self._left_out += part.lines.count("\n") + 1
                part = part._replace(lines="")
            if self._waiting_bytes + size_of(part) <= 2 * MAX_WAITING_BYTES:
                self._waiting.append(part)
                self._waiting_bytes += size_of(part)
        self._wake_or_start()

    def drop(self, job_id: int, attempt: int) -> None:
        """Nobody needs what was sent of this attempt."""
        with self._lock:
            self._to_drop.append((job_id, attempt))
        self._wake_or_start()

    @property
    def has_to_write(self) -> bool:
        with self._lock:
            return bool(self._waiting or self._writing or self._to_drop)

    def _wake_or_start(self) -> None:
        if not self._is_started:
            self._is_started = True
            self.start()
        self.wake()

    # In its own thread

    def tick(self, connection: Connection) -> float | None:
        if wait := self._seconds_to_wait():
            return wait
        self._take_some(MAX_AT_ONCE_BYTES)
        self._write(connection)
        self._tell()
        return 0.0 if self.has_to_write else None

    def on_stopping(self, connection: Connection) -> None:
        """The rest goes out at once."""
        self._take_some(MAX_WAITING_BYTES * 2)
        self._write(connection)

    def _seconds_to_wait(self) -> float:
        """Until enough may go out again."""
        now = monotonic()
        self._credit = min(MAX_BURST_BYTES, self._credit + (now - self._credit_at) * BYTES_PER_SECOND)
        self._credit_at = now
        return -self._credit / BYTES_PER_SECOND if self._credit < 0 else 0.0

    def _take_some(self, limit: int) -> None:
        with self._lock:
            while self._waiting and limit > 0:
                part = self._waiting.popleft()
                self._writing.append(part)
                self._waiting_bytes -= size_of(part)
                limit -= size_of(part)

    def _write(self, connection: Connection) -> None:
        """What fails is tried again with the next connection: that lines are there twice is seen by their numbers."""
        with self._lock:
            to_drop = self._to_drop[:]
        if self._writing and not self._is_full(connection):
            self._add(connection, self._writing)
            self._credit -= sum(map(size_of, self._writing))
        self._writing = []
        if to_drop:
            with self.locks.limited(connection):
                logs.drop(connection, self.database.schema, to_drop)
        with self._lock:
            del self._to_drop[: len(to_drop)]

    def _add(self, connection: Connection, parts: list[LogPart]) -> None:
        """What PostgreSQL refuses is left out, and does not cost others theirs."""
        try:
            with self.locks.limited(connection):
                logs.add(
                    connection,
                    self.database.schema,
                    worker_id=self.ownership.worker_id,
                    parts=parts,
                    now=monotonic(),
                )
        except Exception as error:
            if not is_refusal_of_data(error):
                raise
            if len(parts) == 1:
                reason = " ".join(str(error).split())
                log.warning("lines of a job cannot be stored job=%s error=%s", parts[0].job_id, reason)
                return
            for part in parts:
                self._add(connection, [part])

    def _is_full(self, connection: Connection) -> bool:
        """Whether the lines of today take as much as they may. Then these are left out."""
        limit = self.database.settings.job_logs_megabytes_per_day
        if monotonic() >= self._day_at:
            self._day_at = monotonic() + DAY_EVERY_SECONDS
            was_full, held = self._is_day_full, logs.bytes_of_today(connection, self.database.schema)
            self._is_day_full = held >= limit * MEGABYTE
            if self._is_day_full and not was_full:
                log.warning("no more lines of jobs are kept today job_logs_megabytes_per_day=%s", limit)
        if self._is_day_full:
            with self._lock:
                self._left_out += sum(part.lines.count("\n") + 1 for part in self._writing)
        return self._is_day_full

    def _tell(self) -> None:
        with self._lock:
            if not self._left_out or monotonic() < self._tell_at:
                return
            left_out, self._left_out = self._left_out, 0
            self._tell_at = monotonic() + TELL_EVERY_SECONDS
        log.warning("lines of jobs were left out, since there were too many lines=%s", left_out)


def size_of(part: LogPart) -> int:
    return len(part.lines) + PART_BYTES
