"""What a service leaves out because an open transaction elsewhere holds a row or a table that it needs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobq.store.database import Connection, Database
from jobq.store.jobs import is_lock_timeout, limit_lock_waits

log = logging.getLogger("jobq.worker")

AGAIN_SECONDS = 1.0
"""What was left out is tried again after about this time."""


class Locks:
    """Of one service. What is left out is told once, until it could be done again."""

    def __init__(self, service: str, database: Database, seconds: float) -> None:
        self._service = service
        self._database = database
        self._seconds = seconds
        self._told: set[str] = set()

    @contextmanager
    def limited(self, connection: Connection) -> Iterator[None]:
        """No statement in it waits for longer than `seconds`. A session of the service's own was begun so; in one that
        is shared, only a transaction can be limited."""
        if not self._database.is_pooled:
            yield
            return
        with connection.transaction():
            limit_lock_waits(connection, self._seconds)
            yield

    def do(self, connection: Connection, what: str, act: Callable[[], object]) -> bool:
        """Does a part of a service's work. False: it is locked, and to be tried again; the other parts go on."""
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
        """Says that this was left out."""
        if what not in self._told:
            self._told.add(what)
            log.warning(
                "service=%s leaves out %s: an open transaction holds what that needs; it is tried again. Who holds "
                "locks for long: jobq doctor",
                *(self._service, what),
            )
