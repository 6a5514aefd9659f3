"""Logs from time to time what the worker has done: processes, queues, pending, running, done, failed, rate."""

import logging
from collections.abc import Callable
from time import monotonic

from jobq.queue_choice import QueueChoice
from jobq.runtime.service import Service
from jobq.store import jobs
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker")


class Reporter(Service):
    name = "stats"
    keeps_connection = False

    def __init__(
        self,
        database: Database,
        queues: QueueChoice,
        *,
        processes: Callable[[], int],
        running: Callable[[], int],
        done: Callable[[], int],
        failed: Callable[[], int],
    ) -> None:
        super().__init__(database)
        self.queues = queues
        self._processes = processes
        self._running = running
        self._done = done
        self._failed = failed
        self._last_failed = 0
        self._last_done = 0
        self._last_at = monotonic()
        self._is_first = True

    def tick(self, connection: Connection) -> float | None:
        if self._is_first:  # no time has passed that could be reported
            self._is_first = False
            return self.database.settings.stats_every
        now, done, failed = monotonic(), self._done(), self._failed()
        pending, is_more = jobs.count_pending(connection, self.database.schema, queues=self.queues.terms)
        log.info(
            "stats processes=%s queues=%s pending=%s running=%s done=%s failed=%s per_second=%.1f",
            self._processes(),
            self.queues,
            f"{pending}+" if is_more else pending,
            self._running(),
            done - self._last_done,
            failed - self._last_failed,
            (done - self._last_done) / max(now - self._last_at, 1e-9),
        )
        self._last_done, self._last_failed, self._last_at = done, failed, now
        return self.database.settings.stats_every
