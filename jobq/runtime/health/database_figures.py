"""The database's figures for /metrics, read by a thread of its own, at most every few seconds.

However many scrapers there are, the database is asked at one rate, and only while somebody scrapes. While it does not
answer, its last figures are shown, with their age.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from jobq import telemetry
from jobq.records import Load

log = logging.getLogger("jobq.worker.health")

FRESH_SECONDS = 10.0

FIRST_SECONDS = 1.0
"""Seconds that the first scrape waits for figures."""


class DatabaseFigures:
    def __init__(self, read: Callable[[], Load]) -> None:
        self._read = read
        self._wanted = threading.Event()
        self._first = threading.Event()
        self._is_stopping = False
        self._asked_at = 0.0
        self.seen: Load | None = None
        self.seen_at = 0.0
        self.is_up: bool | None = None  # nobody has looked yet
        self._thread = threading.Thread(target=self._loop, name="jobq-health-figures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._wanted.set()

    def latest(self) -> Load | None:
        """The last figures. Newer ones are there at the next scrape. None: there are none yet."""
        if monotonic() - self._asked_at >= FRESH_SECONDS:
            self._wanted.set()
        if not self._first.is_set():
            self._first.wait(FIRST_SECONDS)
            self._first.set()  # no other scrape waits
        return self.seen

    def _loop(self) -> None:
        with telemetry.quiet():
            while self._wanted.wait() and not self._is_stopping:
                self._wanted.clear()
                self._look()

    def _look(self) -> None:
        self._asked_at = monotonic()
        try:
            self.seen = self._read()
        except Exception as error:  # noqa: BLE001 - the edge around one look
            if self.is_up is not False:
                log.warning("the database's figures cannot be read for /metrics error=%s", error)
            self.is_up = False
        else:
            self.seen_at = monotonic()
            self.is_up = True
        self._first.set()
