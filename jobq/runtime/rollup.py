"""Gathers counts of recorded attempts, and adds them to the rows of `metrics` every few seconds.

The figures are a by-product: if a worker is killed, those of its last seconds are missing. None counts twice.
"""

import logging
from collections.abc import Iterable
from time import monotonic

from jobq.records import Count
from jobq.runtime.locks import Locks
from jobq.runtime.ownership import Ownership
from jobq.store import metrics
from jobq.store.database import Connection, is_transient

log = logging.getLogger("jobq.worker.completer")

SEND_EVERY_SECONDS = 5.0


class Rollup:
    """The counts of one worker that are not in the database yet."""

    def __init__(self, schema: str, ownership: Ownership, locks: Locks) -> None:
        self._schema = schema
        self._ownership = ownership
        self._gathered: metrics.Gathered = {}
        self._sending: list[metrics.Figures] = []
        self._sender = 0
        self._number = 0
        self._sent_at = monotonic()
        self._locks = locks

    def add(self, counts: Iterable[Count]) -> None:
        metrics.gather(self._gathered, counts)

    def send_when_due(self, connection: Connection) -> float | None:
        """Sends the counts if it is time. Returns the seconds until then, None if there is nothing."""
        if not self._gathered and not self._sending:
            return None
        wait = self._sent_at + SEND_EVERY_SECONDS - monotonic()
        if wait > 0:
            return wait
        self.send(connection)
        return None

    def send(self, connection: Connection) -> None:
        """Sends the counts. A batch that failed goes first, under its old number: it may have arrived."""
        self._sent_at = monotonic()
        while self._sending or self._gathered:
            if not self._sending:
                self._sending = list(self._gathered.values())
                self._gathered = {}
                self._sender = self._ownership.worker_id
                self._number += 1
            if not self._locks.do(connection, "figures", lambda: self._add(connection)):
                return  # the reports of jobs do not wait for it
            self._sending = []

    def _add(self, connection: Connection) -> None:
        try:
            metrics.add(connection, self._schema, self._sending, worker_id=self._sender, number=self._number)
        except Exception as error:
            if is_transient(error):  # also if a lock is held
                raise
            # Drops metrics rather than block results.
            log.exception("figures were dropped attempts=%s", sum(row.attempts for row in self._sending))
