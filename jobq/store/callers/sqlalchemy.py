"""SQLAlchemy's connections and sessions, with any driver: through SQLAlchemy itself.

So its events, its log and its errors are the same as for the caller's other statements.
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from jobq.errors import EnqueueError
from jobq.store.callers import psycopg3
from jobq.store.callers.explaining import explained
from jobq.store.callers.placeholders import pieces
from jobq.store.callers.steps import NoCopy, Parameters, Result, Rows, Steps, take, transaction

AT_ONCE = {"stream_results": False, "yield_per": None}
"""A connection may be set to use server-side cursors, which are for queries only."""


def on(given: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, if there is one."""
    connection = connection_of(given)
    if connection.dialect.name != "postgresql":
        raise EnqueueError(
            f"connection is SQLAlchemy's to {connection.dialect.name}, and jobq's jobs are in PostgreSQL. Give one to "
            "PostgreSQL, or leave connection= out."
        )

    def answer(statement: bytes, parameters: Parameters) -> Rows:
        if not isinstance(parameters, dict):
            return copied(connection, statement, parameters)
        result = connection.execute(clause(statement), unshown(parameters), execution_options=AT_ONCE)
        return [tuple(row) for row in result]

    with (
        explained(),
        transaction(connection.exec_driver_sql) if is_atomic and is_in_autocommit(connection) else nullcontext(),
    ):
        return take(steps, answer)


async def on_async(given: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """The same on a connection or session of an event loop."""
    result: Result = await current(given).run_sync(on, steps, is_atomic)
    return result


def current(given: Any) -> Any:
    """The current session of a scoped_session, which each thread, request or task has. Other values are returned as
    they are."""
    return given() if hasattr(given, "registry") and callable(given) else given


def connection_of(given: Any) -> Any:
    """The Connection of a Session. A Connection is returned as it is."""
    given = current(given)
    return given.connection() if hasattr(given, "get_bind") else given


def is_in_autocommit(connection: Any) -> bool:
    """Whether `isolation_level="AUTOCOMMIT"` is set: then SQLAlchemy's transactions are not real ones."""
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


@lru_cache(maxsize=256)
def clause(statement: bytes) -> Any:
    """A statement with parameters in SQLAlchemy's style. The statement itself names their types."""
    import sqlalchemy

    text, names = [], []
    for literal, name in pieces(statement):
        text.append(literal.replace(":", "\\:"))
        if name:
            # A cast right after the name would be read as part of it.
            text.append(f"(:{name})")
            names.append(name)
    bound = [sqlalchemy.bindparam(name, type_=sqlalchemy.types.NullType()) for name in dict.fromkeys(names)]
    return sqlalchemy.text("".join(text)).bindparams(*bound)


class Unshown(str):
    """A text that SQLAlchemy's errors and log do not show, as they show all parameters: it may contain a secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'•••'"


def unshown(parameters: dict[str, Any]) -> dict[str, Any]:
    """With arguments and values of jobs hidden."""
    return {name: hidden(value) if name in ("arguments", "values") else value for name, value in parameters.items()}


def hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [hidden(one) for one in value]
    return Unshown(value) if isinstance(value, str) else value


def copied(connection: Any, statement: bytes, blocks: Iterable[bytes]) -> Rows:
    """Runs a COPY on psycopg 3 directly, since SQLAlchemy has none."""
    driver = connection.connection.driver_connection
    try:
        if isinstance(driver, psycopg.Connection):
            with psycopg.Cursor(driver) as cursor:
                return psycopg3.executed(cursor, statement, blocks)
        if isinstance(driver, psycopg.AsyncConnection):
            rows: Rows = connection.connection.dbapi_connection.run_async(copying(statement, blocks))
            return rows
    except psycopg.Error as error:
        from sqlalchemy.exc import DBAPIError

        raise DBAPIError.instance(statement.decode(), None, error, psycopg.Error, dialect=connection.dialect) from error
    raise NoCopy


def copying(statement: bytes, blocks: Iterable[bytes]) -> Callable[[psycopg.AsyncConnection[Any]], Any]:
    async def copy(driver: psycopg.AsyncConnection[Any]) -> Rows:
        async with psycopg.AsyncCursor(driver) as cursor:
            return await psycopg3.executed_async(cursor, statement, blocks)

    return copy


# Calls that wait for a commit


class Pending:
    """The calls for the commit of a Connection's transaction, each with its savepoint."""

    def __init__(self, connection: Any) -> None:
        self._calls: list[tuple[int, Callable[[], None]]] = []
        for name, listener in (
            ("commit", self._committed),
            ("commit_twophase", self._committed),
            ("rollback", self._rolled_back),
            ("rollback_twophase", self._rolled_back),
            ("rollback_savepoint", self._savepoint_rolled_back),
        ):
            sys.modules["sqlalchemy"].event.listen(connection, name, listener)

    def add(self, savepoint: str | None, call: Callable[[], None]) -> None:
        self._calls.append((number_of(savepoint), call))

    def _committed(self, *_arguments: Any) -> None:
        calls, self._calls = self._calls, []
        for _, call in calls:
            call()

    def _rolled_back(self, *_arguments: Any) -> None:
        self._calls = []

    def _savepoint_rolled_back(self, _connection: Any, name: str, _context: Any) -> None:
        """A rollback to a savepoint also rolls back all later savepoints, including released ones."""
        self._calls = [(number, call) for number, call in self._calls if number < number_of(name)]


def number_of(savepoint: str | None) -> int:
    """SQLAlchemy numbers the savepoints of a connection in their names; 0 outside of any."""
    return int(savepoint.rpartition("_")[2]) if savepoint else 0


PENDING: "WeakKeyDictionary[Any, Pending]" = WeakKeyDictionary()
"""By Connection."""


def when_committed(given: Any, call: Callable[[], None]) -> None:
    connection = connection_of(getattr(current(given), "sync_session", getattr(given, "sync_connection", given)))
    if is_in_autocommit(connection):
        call()
        return
    if connection not in PENDING:
        PENDING[connection] = Pending(connection)
    savepoint = getattr(connection.get_nested_transaction(), "_savepoint", None)
    PENDING[connection].add(savepoint, call)
