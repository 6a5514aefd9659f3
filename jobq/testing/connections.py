"""The connection of a test: its jobs are enqueued, seen and run there, also in a transaction that is rolled back."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar, cast

from jobq import stand_ins
from jobq.store import callers
from jobq.store.callers.steps import Steps
from jobq.store.database import Connection, default_database

Result = TypeVar("Result")
Row = tuple[Any, ...]


@contextmanager
def on_connection(connection: Any = None) -> Iterator[Any]:
    """Makes jobq use a test's own connection by default: to enqueue, to look, and to run due jobs.

    It is one of SQLAlchemy, of Django or of a driver; None: the default one of Django. Enqueued jobs are part of its
    transaction, and vanish when that is rolled back.
    """
    before = stand_ins.connection, stand_ins.is_awaited
    connection = django_connection() if connection is None else connection
    # Each thread has its own Django connections, so coroutines await Django's way to the right thread.
    stand_ins.connection, stand_ins.is_awaited = connection, is_of_loop(connection) or is_django(connection)
    try:
        yield connection
    finally:
        stand_ins.connection, stand_ins.is_awaited = before


def connection_at_hand(given: Any) -> Any:
    """The given connection, else the test's own. None: there is none, and jobq uses its own database.

    Inside an atomic block of Django, as in a TestCase, it is Django's.
    """
    if (found := stand_ins.given_or_lent(given)) is not None:
        return found
    if "django.db" in sys.modules and sys.modules["django.conf"].settings.configured:
        django = django_connection()
        if django.vendor == "postgresql" and django.in_atomic_block:
            return django
    return None


def django_connection() -> Any:
    return import_module("django.db").connection


def is_django(connection: Any) -> bool:
    return hasattr(connection, "ensure_connection")


def is_of_loop(connection: Any) -> bool:
    """Whether a connection belongs to an event loop: SQLAlchemy's of asyncio, asyncpg's, psycopg's AsyncConnection."""
    return inspect.iscoroutinefunction(getattr(type(connection), "execute", None))


@contextmanager
def connected(given: Any) -> Iterator[Connection]:
    """A connection as the statements of the store expect it: the test's own, or one of jobq's pool."""
    given = connection_at_hand(given)
    if is_of_loop(given):
        raise TypeError(
            f"{type(given).__name__} is a connection of an event loop, and only run_due_jobs_async takes it. For the "
            "others, with SQLAlchemy: await session.run_sync(lambda session: …(connection=session))."
        )
    if given is not None:
        yield cast(Connection, Lent(given))
        return
    database = default_database()
    database.prepare()
    with database.connection() as connection:
        yield connection


class Lent:
    """A connection of the test's own. It accepts statements like psycopg's, whatever its driver is."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def execute(self, statement: bytes | str, parameters: dict[str, Any] | None = None) -> "Rows":
        """Executes a statement that returns rows: all changing statements of the store do."""
        text = statement.encode() if isinstance(statement, str) else statement

        def steps() -> Steps[list[Row]]:
            return (yield text, parameters or {})

        return Rows(self.carry_out(steps()))

    def command(self, text: str) -> None:
        """Executes a statement without rows, for each framework and driver."""
        given = self.given
        if hasattr(given, "execute"):
            clause = sys.modules["sqlalchemy"].text(text) if hasattr(given, "begin_nested") else text
            self.call(lambda: given.execute(clause))
        else:
            with given.cursor() as cursor:
                cursor.execute(text)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The caller's own, if it has one."""
        yield

    def carry_out(self, steps: Steps[Result]) -> Result:
        return callers.on(self.given, steps)

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls a method of the connection."""
        return function()


class LentByLoop(Lent):
    """A connection of an event loop, for a thread beside that loop."""

    def __init__(self, given: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(given)
        self._loop = loop

    def carry_out(self, steps: Steps[Result]) -> Result:
        return self._wait_for(callers.on_async(self.given, steps))

    def call(self, function: Callable[[], Any]) -> Any:
        async def called() -> Any:
            value = function()
            return await value if inspect.isawaitable(value) else value

        return self._wait_for(called())

    def _wait_for(self, coroutine: Awaitable[Result]) -> Result:
        result: Result = asyncio.run_coroutine_threadsafe(cast(Any, coroutine), self._loop).result()
        return result


class Rows:
    """The result of a statement, like a cursor of psycopg."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = list(rows)

    def fetchone(self) -> Row | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Row]:
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


def command(connection: Connection | Lent, text: str) -> None:
    """Executes a statement that returns no rows and changes none."""
    if isinstance(connection, Lent):
        connection.command(text)
    else:
        connection.execute(text.encode())


def is_usable(connection: Connection | Lent) -> bool:
    """Whether a connection accepts statements: after an error of the database, a transaction accepts none."""
    try:
        connection.execute(b"SELECT 1", {})
    except Exception:  # noqa: BLE001 - each driver and framework has errors of its own for this
        return False
    return True


def sqlstate_of(error: BaseException) -> str | None:
    """PostgreSQL's code of an error, whatever driver or framework has wrapped it."""
    for found in (error, getattr(error, "orig", None), error.__cause__):
        if (code := getattr(found, "sqlstate", None) or getattr(found, "pgcode", None)) is not None:
            return str(code)
    return None
