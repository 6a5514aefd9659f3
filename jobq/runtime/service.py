"""The base of everything that a supervisor does beside its main loop: one thread, one connection, start, tick, stop.

The `tick` of a service is one round of work, and returns the time until the next one. The handling of a database that
cannot serve is the same for all, in `trouble`.
"""

import logging
import random
import threading
from time import monotonic

from jobq import telemetry
from jobq.runtime.locks import AGAIN_SECONDS, Locks
from jobq.runtime.ticking import Ticking
from jobq.runtime.trouble import Trouble
from jobq.store.database import Connection, Database, hang_up
from jobq.store.jobs import is_lock_timeout

log = logging.getLogger("jobq.worker")

MAX_BACKOFF_SECONDS = 10.0

LOCK_SECONDS = 0.5
"""Maximum seconds that a service waits for a row or table locked by another transaction. Then it skips that work."""


class Service:
    """A thread that calls `tick` again and again, on a connection that is replaced when it was lost."""

    name = "service"
    max_backoff_seconds = MAX_BACKOFF_SECONDS
    keeps_connection = True
    """False: connect for each tick and hang up after it, for rare work."""
    lock_seconds = LOCK_SECONDS
    """Maximum seconds that a statement waits for a locked row. Behind a pooler each tick must set it itself."""

    again_seconds = AGAIN_SECONDS
    """Seconds to wait, roughly, after a lock was in the way. 0: it tries again at once."""

    walks_indexes = True
    """False: its statements join many rows, so the server plans each one anew."""

    max_tick_seconds: float | None = None
    """After this long in one tick the connection is cut, and a new one made: for work that must not wait for one
    hanging server process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.is_connected = False
        self.answered_at = monotonic()  # when the last tick ended well
        self._connection: Connection | None = None
        self._closing = threading.Lock()
        self.ticking = Ticking(self.name)
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"jobq-{self.name}", daemon=True)
        self._trouble = Trouble(self.name, database)
        self.locks = Locks(self.name, database, self.lock_seconds)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Ends it after the current tick. False: it did not end within `timeout` seconds."""
        self.ask_to_stop()
        return self.wait_until_stopped(timeout)

    def ask_to_stop(self) -> None:
        """It ends after the current tick."""
        self._stopping.set()
        self.wake()

    def wait_until_stopped(self, timeout: float | None = None) -> bool:
        """False: it did not end within `timeout` seconds."""
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Ends its wait: there is work to do."""
        self._woken.set()

    def tick(self, connection: Connection) -> float | None:
        """One round of work. Returns the seconds until the next one; None: when woken."""
        raise NotImplementedError

    def on_connected(self, connection: Connection) -> None:
        """Called with each new connection, before the first tick on it."""

    def on_stopping(self, connection: Connection) -> None:
        """Called once after the last tick, if the connection still works: for work that must not be left undone."""

    def on_stopped(self) -> None:
        """Called once, after the last tick."""

    def look_after(self) -> None:
        """Called by the main loop from time to time. Reports a service that waits long. The wait continues."""
        if self.max_tick_seconds is not None and self.ticking.seconds > self.max_tick_seconds:
            self._hang_up()
        self.ticking.look_after()

    def _hang_up(self) -> None:
        """Its thread finds the connection lost, and opens another one."""
        with self._closing:
            if self._connection is not None and not self._connection.closed:
                hang_up(self._connection)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _work(self) -> None:
        with telemetry.quiet():
            while not self.is_stopping:
                self._attempt()
            self._take_leave()
            self._disconnect()
            self.on_stopped()

    def _attempt(self) -> None:
        """One tick, and the wait after it. No error ends the thread."""
        self.ticking.began()
        try:
            wait = self.tick(self._connect())
            if not self.keeps_connection:
                self._disconnect()
            self.ticking.ended()
        except Exception as error:  # noqa: BLE001 - the edge around one tick
            self.ticking.ended()
            # new work would meet the same trouble: it does not shorten this
            self._stopping.wait(self._seconds_after(error))
        else:
            self.answered_at = monotonic()
            self._trouble.worked()
            self._woken.wait(sooner(wait, self._trouble.seconds_to_look()))
            self._woken.clear()

    def _seconds_after(self, error: Exception) -> float:
        """Seconds to wait after a tick that failed. A lock of another transaction leaves the connection intact."""
        if is_lock_timeout(error):
            self.locks.tell("its work")
            return jittered(self.again_seconds)
        self._disconnect()
        return self._trouble.failed(error, self.max_backoff_seconds)

    def _take_leave(self) -> None:
        if self._connection is None or self._connection.closed:
            return
        try:
            self.on_stopping(self._connection)
        except Exception as error:  # noqa: BLE001 - the edge around the last words
            log.warning("service=%s could not finish error=%s", self.name, self.database.message_of(error))

    def _connect(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self.database.connect(
                f"worker {self.name}", walk_indexes=self.walks_indexes, lock_seconds=self.lock_seconds
            )
            self.on_connected(self._connection)
            self.is_connected = True
        return self._connection

    def _disconnect(self) -> None:
        self.is_connected = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._closing:
                connection.close()


def sooner(first: float | None, second: float | None) -> float | None:
    """The shorter of two waits. None is infinite."""
    waits = [wait for wait in (first, second) if wait is not None]
    return max(0.0, min(waits)) if waits else None


def jittered(seconds: float) -> float:
    """About this many seconds: a thousand workers started together must not all ask together."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
