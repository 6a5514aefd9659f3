"""Connections for reading: nothing on them takes long, and nothing is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from psycopg import errors as pg
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.types.json import set_json_loads

from jobq.arguments import legible, without_secrets
from jobq.commands import command
from jobq.errors import QueryTooSlow, UsageError
from jobq.filters import Moment
from jobq.store.database import Connection, Database
from jobq.store.statements import statement

READ_TIMEOUT_MS = 5000
"""Seconds after which a look stops, and for which it may delay others."""


@contextmanager
def reading(database: Database, *, slow: Sequence[str] = (), timeout_ms: int = READ_TIMEOUT_MS) -> Iterator[Connection]:
    """A connection on which nothing takes long, and nothing is written.

    `slow` are the terms of a filter that no index serves: they are named if the time limit is reached.
    """
    database.prepare()
    with database.connection() as connection:
        try:
            with connection.transaction():
                # A session of ours does not use JIT; behind a transaction pooler the session is not ours.
                limits = f"SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL jit = off"
                connection.execute(f"SET TRANSACTION READ ONLY; {limits}".encode())
                yield connection
        except pg.QueryCanceled:
            raise QueryTooSlow(too_slow(slow, timeout_ms)) from None


def too_slow(slow: Sequence[str], timeout_ms: int) -> str:
    limit = f"{timeout_ms / 1000:g} s"
    if not slow:
        return f"The database did not answer within {limit}, and was told to stop. See why: {command('doctor')}"
    return (
        f"The search was stopped after {limit}: no index serves {', '.join(slow)}, so jobs are looked at one by one. "
        "Narrow it, by since: or outcome: or group:."
    )


def dicts(connection: Connection, name: str, schema: str, parameters: dict[str, Any]) -> list[DictRow]:
    return read(connection, statement(name, schema), parameters)


def read(connection: Connection, text: bytes, parameters: dict[str, Any]) -> list[DictRow]:
    # Not prepared: the plan should know which conditions apply.
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(shown, cursor)
        return cursor.execute(text, parameters, prepare=False).fetchall()


def shown(stored: str | bytes) -> Any:
    """Stored JSON for display: every secret in it is masked here, so that no later code can forget to."""
    return without_secrets(legible(stored))


def tuples(connection: Connection, name: str, schema: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement(name, schema), parameters, prepare=False).fetchall()


def time_of(connection: Connection, schema: str, moment: Moment, at: datetime) -> datetime:
    """When that was. Raises UsageError where it is the last deploy, and none is known."""
    if not moment.is_deploy:
        return moment.at or at - timedelta(seconds=moment.seconds_ago)
    row = tuples(connection, "observe_last_deploy", schema, {})
    if not row:
        raise UsageError("No deploy is known: no worker has started that knows its build. See: jobq builds")
    deployed: datetime = row[0][0]
    return deployed


def now(connection: Connection) -> datetime:
    ((moment,),) = connection.execute("SELECT statement_timestamp()").fetchall()
    assert isinstance(moment, datetime)
    return moment
