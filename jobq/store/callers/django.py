"""Django's connections, with any driver: through Django's own cursor, so that its bookkeeping stays right."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from jobq.errors import EnqueueError
from jobq.store.callers.explaining import explained
from jobq.store.callers.steps import NoCopy, Parameters, Result, Rows, Steps, take, transaction


def on(connection: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, if there is one."""
    if connection.vendor != "postgresql":
        raise EnqueueError(
            f"connection is Django's to {connection.display_name}, and jobq's jobs are in PostgreSQL. Give one to "
            'PostgreSQL, such as connections["…"], or leave connection= out.'
        )
    with cursor_of(connection) as cursor, explained():

        def answer(statement: bytes, parameters: Parameters) -> Rows:
            if not isinstance(parameters, dict):
                return copied(connection, cursor, statement.decode(), parameters)
            cursor.execute(statement.decode(), parameters)
            rows: Rows = cursor.fetchall()
            return rows

        with transaction(cursor.execute) if is_atomic and connection.get_autocommit() else nullcontext():
            return take(steps, answer)


def cursor_of(connection: Any) -> Any:
    try:
        return connection.cursor()
    except sys.modules["django.core.exceptions"].SynchronousOnlyOperation as error:
        raise EnqueueError(
            "connection is Django's, which an event loop cannot use: await job.run_in_worker_async(connection=…) "
            "instead, or enqueue_many_async, or complete_async."
        ) from error


def copied(connection: Any, cursor: Any, statement: str, blocks: Any) -> Rows:
    if not hasattr(cursor, "copy"):  # psycopg2's
        raise NoCopy
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)
    return []


async def on_async(connection: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """The same from an event loop, in the thread that Django uses for synchronous code.

    Each thread has its own connections: this uses the one of that thread with the same alias.
    """
    from asgiref.sync import sync_to_async

    def in_thread() -> Result:
        return on(of_thread(connection.alias), steps, is_atomic)

    result: Result = await sync_to_async(in_thread, thread_sensitive=True)()
    return result


def of_thread(alias: str) -> Any:
    return sys.modules["django.db"].connections[alias]


def when_committed(connection: Any, call: Callable[[], None]) -> None:
    if connection.in_atomic_block:
        connection.on_commit(call)
    else:  # it is in autocommit, or in a transaction that Django was told to leave alone
        call()


async def when_committed_async(connection: Any, call: Callable[[], None]) -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(lambda: when_committed(of_thread(connection.alias), call), thread_sensitive=True)()
