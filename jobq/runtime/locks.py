"""Work that a service skips because an open transaction elsewhere holds a row or a table that it needs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobq.store.database import Connection, Database
from jobq.store.jobs import is_lock_timeout, limit_lock_waits

log = logging.getLogger("jobq.worker")

AGAIN_SECONDS = 1.0
"""Skipped work is tried again after about this time."""


class Locks:
    """The locks in the way of one service. Skipped work is logged once, until it succeeds again."""

    def __init__(self, service: str, database: Database, seconds: float) -> None:
        self._service = service
        self._database = database
        self._seconds = seconds
        self._told: set[str] = set()

    @contextmanager
    def limited(self, connection: Connection) -> Iterator[None]:
        """Limits the lock wait of each statement to `seconds`. A session of the service's own has that setting already;
        in a shared one only a transaction can be limited."""
        if not self._database.is_pooled:
            yield
            return
        with connection.transaction():
            limit_lock_waits(connection, self._seconds)
            yield

    def do(self, connection: Connection, what: str, act: Callable[[], object]) -> bool:
        """Does a part of a service's work. False: it is locked, and will be tried again; the other parts continue."""
        try:
            with self.limited(connection):
                act()
        except Exception as error:
            if not is_lock_timeout(error):
                raise
            self.tell(what)
            return False
        self._told.discard(what)
        return True

    def tell(self, what: str) -> None:
        """Logs that this was skipped."""
        if what not in self._told:
            self._told.add(what)
            log.warning(
                "service=%s leaves out %s: an open transaction holds what that needs; it is tried again. Who holds "
                "locks for long: jobq doctor",
                *(self._service, what),
            )
