"""A savepoint around each job that runs in the transaction of a test.

A worker runs each job outside of any transaction, so the effects of a failed job stay, too. Only if the database
refuses every further statement is the work of this job undone, and the test continues.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from jobq.testing.connections import Lent, is_django, is_usable, sqlstate_of

NO_TRANSACTION = "25P01"
"""The SQLSTATE of a SAVEPOINT outside of a transaction: the connection is in autocommit."""


class Savepoint(Protocol):
    def keep(self) -> None: ...

    def undo(self) -> None: ...


@contextmanager
def savepoint(connection: Any) -> Iterator[None]:
    """Surrounds code that may break the transaction of a connection that the test has lent."""
    point = begun(connection) if isinstance(connection, Lent) else None
    try:
        yield
    finally:
        if point is not None:
            if is_usable(connection):
                point.keep()
            else:
                point.undo()


def begun(lent: Lent) -> Savepoint | None:
    """A savepoint of the framework's own, so that it knows of it. None: the connection is in autocommit."""
    given = lent.given
    if is_django(given):
        return OfDjango(lent) if given.in_atomic_block else None
    if hasattr(given, "begin_nested"):
        return OfSqlAlchemy(lent)
    try:
        return OfDriver(lent)
    except Exception as error:
        if sqlstate_of(error) == NO_TRANSACTION:
            return None
        raise


class OfDjango:
    def __init__(self, lent: Lent) -> None:
        self._connection = lent.given
        self._id = self._connection.savepoint()

    def keep(self) -> None:
        if self._connection.needs_rollback:  # an atomic block without a savepoint has failed
            self.undo()
        else:
            self._connection.savepoint_commit(self._id)

    def undo(self) -> None:
        self._connection.needs_rollback = False  # otherwise Django refuses the statement that repairs it
        self._connection.savepoint_rollback(self._id)


class OfSqlAlchemy:
    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        self._session = lent.given() if hasattr(lent.given, "registry") else lent.given  # of a scoped_session
        self._nested = lent.call(self._session.begin_nested)

    def keep(self) -> None:
        if self._nested.is_active:  # otherwise the job has committed by itself
            self._lent.call(self._nested.commit)

    def undo(self) -> None:
        if self._session.in_nested_transaction():  # otherwise the job has rolled back by itself
            self._lent.call(self._nested.rollback)


class OfDriver:
    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        lent.command("SAVEPOINT jobq_attempt")

    def keep(self) -> None:
        self._lent.command("RELEASE SAVEPOINT jobq_attempt")

    def undo(self) -> None:
        self._lent.command("ROLLBACK TO SAVEPOINT jobq_attempt")
        self._lent.command("RELEASE SAVEPOINT jobq_attempt")
