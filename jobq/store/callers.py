"""Connections of the caller's own: whatever framework made one, psycopg's connection is found in it.

It is told by what the object has, never by its class: nothing of SQLAlchemy or Django is imported here that the
application has not imported itself.
"""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import tuple_row

from jobq.errors import EnqueueError

Result = TypeVar("Result")

Call = tuple[bytes, dict[str, Any] | Iterable[bytes]]
"""A statement and its parameters; or a COPY and the blocks that it takes."""

Steps = Generator[Call, list[tuple[Any, ...]], Result]
"""What is done with a connection, as the statements that it takes, each answered by its rows.

Written once, and carried out on a connection of either kind.
"""

KINDS = "a psycopg connection, a SQLAlchemy Connection or Session, or Django's connection"
ASYNC_KINDS = "a psycopg AsyncConnection, or a SQLAlchemy AsyncConnection or AsyncSession"


def on(given: Any, steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """Carries out the steps on a connection of the caller's. Raises EnqueueError where it is none that jobq can use."""
    return carry_out(driver_connection(given), steps, is_atomic=is_atomic)


async def on_async(given: Any, steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """The same on a connection of an event loop."""
    return await carry_out_async(await async_driver_connection(given), steps, is_atomic=is_atomic)


def carry_out(connection: psycopg.Connection[Any], steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, where there is one."""
    # The caller's connection may have a row factory of its own.
    with (
        connection.transaction() if is_atomic and connection.autocommit else nullcontext(),
        psycopg.Cursor(connection, row_factory=tuple_row) as cursor,
    ):
        try:
            statement, parameters = next(steps)
            while True:
                statement, parameters = steps.send(executed(cursor, statement, parameters))
        except StopIteration as end:
            result: Result = end.value
            return result


async def carry_out_async(
    connection: psycopg.AsyncConnection[Any], steps: Steps[Result], *, is_atomic: bool = False
) -> Result:
    """The same on a connection of an event loop."""
    async with (
        connection.transaction() if is_atomic and connection.autocommit else nullcontext(),
        psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor,
    ):
        try:
            statement, parameters = next(steps)
            while True:
                statement, parameters = steps.send(await executed_async(cursor, statement, parameters))
        except StopIteration as end:
            result: Result = end.value
            return result


def executed(
    cursor: psycopg.Cursor[tuple[Any, ...]], statement: bytes, parameters: dict[str, Any] | Iterable[bytes]
) -> list[tuple[Any, ...]]:
    if isinstance(parameters, dict):
        # The session is the caller's: a form of dates that psycopg cannot read may be set. In binary there is only one.
        return cursor.execute(statement, parameters, binary=True).fetchall()
    with cursor.copy(statement) as copy:
        for block in parameters:
            copy.write(block)
    return []


async def executed_async(
    cursor: psycopg.AsyncCursor[tuple[Any, ...]], statement: bytes, parameters: dict[str, Any] | Iterable[bytes]
) -> list[tuple[Any, ...]]:
    if isinstance(parameters, dict):
        await cursor.execute(statement, parameters, binary=True)
        return await cursor.fetchall()
    async with cursor.copy(statement) as copy:
        for block in parameters:
            await copy.write(block)
    return []


def driver_connection(given: Any) -> psycopg.Connection[Any]:
    """Psycopg's connection in what the caller has. Raises EnqueueError where there is none."""
    found = given
    if hasattr(found, "ensure_connection"):  # Django's: it connects when it is first used
        found.ensure_connection()
        found = found.connection
    found = of_sqlalchemy(found)
    if not isinstance(found, psycopg.Connection | psycopg.AsyncConnection):  # … whose connection a pool lends out
        begin(found)
        found = getattr(getattr(found, "connection", found), "driver_connection", found)
    if isinstance(found, psycopg.Connection):
        return found
    if isinstance(found, psycopg.AsyncConnection) or is_async_session(found) or hasattr(found, "get_raw_connection"):
        raise EnqueueError(
            "connection is one of an event loop: await job.run_in_worker_async(connection=…) instead, or "
            "enqueue_many_async."
        )
    raise EnqueueError(f"connection is {kind_of(given, found)}, but must be {KINDS}.")


async def async_driver_connection(given: Any) -> psycopg.AsyncConnection[Any]:
    """Psycopg's connection in what the caller has. Raises EnqueueError where there is none."""
    found = given
    if is_async_session(found):
        found = await found.connection()
    if hasattr(found, "get_raw_connection"):
        begin(found.sync_connection)
        found = (await found.get_raw_connection()).driver_connection
    if isinstance(found, psycopg.AsyncConnection):
        return found
    raise EnqueueError(f"connection is {kind_of(given, found)}, but must be {ASYNC_KINDS}.")


def of_sqlalchemy(given: Any) -> Any:
    """The SQLAlchemy Connection of a Session; anything else as it is."""
    if hasattr(given, "get_bind") and callable(getattr(given, "connection", None)) and not is_async_session(given):
        return given.connection()
    return given


def begin(connection: Any) -> None:
    """Has a Connection of SQLAlchemy know that its transaction has begun, as with a statement of its own.

    Its commit() would do nothing otherwise.
    """
    if hasattr(connection, "in_nested_transaction") and not connection.in_transaction():
        connection.begin()


def is_async_session(given: Any) -> bool:
    return hasattr(given, "sync_session")


def kind_of(given: Any, found: Any) -> str:
    kinds = [f"a {type(value).__module__}.{type(value).__qualname__}" for value in (given, found)]
    return kinds[0] if found is None or kinds[0] == kinds[1] else f"{kinds[0]} (of {kinds[1]})"


def when_committed(given: Any, call: Callable[[], None]) -> None:
    """Calls when the caller's transaction commits, and not at all when it rolls back.

    Psycopg does not tell: with a connection of its own kind, it is called at once.
    """
    if hasattr(given, "on_commit"):
        given.on_commit(call)
        return
    given = getattr(given, "sync_session", given)
    connection = of_sqlalchemy(getattr(given, "sync_connection", given))
    event = sys.modules.get("sqlalchemy.event")
    if event is None or not hasattr(connection, "in_nested_transaction"):
        call()
        return
    if connection not in PENDING:
        PENDING[connection] = []
        event.listen(connection, "commit", committed)
        event.listen(connection, "rollback", rolled_back)
    PENDING[connection].append(call)


PENDING: "WeakKeyDictionary[Any, list[Callable[[], None]]]" = WeakKeyDictionary()
"""What waits for the end of the transaction at hand, by Connection of SQLAlchemy."""


def committed(connection: Any) -> None:
    pending, PENDING[connection] = PENDING.get(connection, []), []
    for call in pending:
        call()


def rolled_back(connection: Any) -> None:
    PENDING[connection] = []
