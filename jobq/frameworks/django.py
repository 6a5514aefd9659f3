"""Django closes its connections between requests. In a child of jobq this happens between attempts, by the same rules.

Connections belong to threads. Ordinary jobs use those of the main thread. Asynchronous code of Django runs its
statements in another thread: one that all share while coroutines run in turn, and one for each of those that run side
by side, as for each request of an ASGI server.
"""

import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from jobq.frameworks.care import Care
from jobq.frameworks.sockets import is_cut_off

log = logging.getLogger("jobq.worker")

Result = TypeVar("Result")

WAIT_SECONDS = 30.0
"""Seconds that an attempt waits for a lost database, so that retries are not used up while a server restarts."""

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.05, 1.0

MAX_THREAD_SECONDS = 1.0
"""Seconds that an attempt's end waits for the thread of asynchronous code, which a job may have left busy."""


def is_configured() -> bool:
    """Whether Django has settings, or finds them on access."""
    from django.conf import ENVIRONMENT_VARIABLE, settings

    return bool(settings.configured or os.environ.get(ENVIRONMENT_VARIABLE))


class DjangoCare(Care):
    """Made in the thread that runs the ordinary jobs."""

    def __init__(self) -> None:
        from django.db.backends.signals import connection_created

        self._home = threading.get_ident()
        self._is_elsewhere = False  # whether another thread may have connections
        self._given_up: set[str] = set()  # the aliases of databases that did not come back in time
        connection_created.connect(self._on_connected, weak=False)

    def _on_connected(self, connection: Any, **_: Any) -> None:
        self._given_up.discard(connection.alias)
        if threading.get_ident() != self._home:
            self._is_elsewhere = True

    def begin(self) -> None:
        self._begin_in_thread()
        if self._is_elsewhere:
            self._in_other_thread(self._begin_in_thread)

    def _begin_in_thread(self) -> None:
        for connection in opened():
            tend(self._freshen, connection)

    def _freshen(self, connection: Any) -> None:
        connection.queries_log.clear()
        if connection.connection is not None and is_cut_off(connection.connection) and not connection.is_usable():
            connection.close()
            connection.errors_occurred = True
        connection.close_if_unusable_or_obsolete()
        if connection.connection is None and connection.errors_occurred and connection.alias not in self._given_up:
            self._await_server(connection)

    def _await_server(self, connection: Any) -> None:
        """The last use of this database ended with an error of the connection: the attempt begins when it is back.

        After one such wait without success there is no other until there has been a connection again: other jobs may
        not need the database.
        """
        deadline, backoff = time.monotonic() + WAIT_SECONDS, FIRST_BACKOFF_SECONDS
        while (error := error_of_connecting(connection)) is not None:
            if time.monotonic() > deadline:
                self._given_up.add(connection.alias)
                log.warning("the database %r of Django is unreachable error=%s", connection.alias, type(error).__name__)
                return
            time.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    def end(self) -> None:
        end_in_thread()
        if self._is_elsewhere:
            self._in_other_thread(end_in_thread)

    def rest(self) -> float | None:
        waits = [rest_in_thread()]
        if self._is_elsewhere:
            self._is_elsewhere = False  # … and true again if one is opened meanwhile
            resting = self._in_other_thread(rest_in_thread)
            waits.append(resting.result() if resting.done() else MAX_THREAD_SECONDS)
            self._is_elsewhere = self._is_elsewhere or waits[1] is not None
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _in_other_thread(self, function: Callable[[], Result]) -> "Future[Result]":
        from asgiref.sync import SyncToAsync

        future = SyncToAsync.single_thread_executor.submit(function)
        wait([future], MAX_THREAD_SECONDS)
        return future

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

        thread = ThreadSensitiveContext()
        async with thread:
            try:
                yield
            finally:
                if thread in SyncToAsync.context_to_thread_executor:  # otherwise no statement was executed
                    await sync_to_async(close_in_thread)()

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The thread in which the job's own statements are executed: its connections are checked."""
        from asgiref.sync import sync_to_async

        result: Result = await sync_to_async(function)(*arguments)
        return result


def opened() -> list[Any]:
    """The connections of this thread."""
    from django.db import connections

    found: list[Any] = connections.all(initialized_only=True)
    return found


def tend(care: Callable[[Any], None], connection: Any) -> None:
    """If one connection cannot be closed, the others are still closed."""
    try:
        care(connection)
    except Exception:
        log.exception("Django's connection %r could not be cleaned up", connection.alias)


def error_of_connecting(connection: Any) -> Exception | None:
    from django.db import OperationalError

    try:
        connection.ensure_connection()
    except OperationalError as refused:
        error: Exception = refused
        return error
    return None


def end_in_thread() -> None:
    for connection in opened():
        tend(let_go, connection)


def close_in_thread() -> None:
    """The thread ends: no connection of it can be used again."""
    for connection in opened():
        tend(let_go, connection)
        tend(lambda connection: connection.close(), connection)


def rest_in_thread() -> float | None:
    end_in_thread()
    ages = [connection.close_at for connection in opened() if connection.connection and connection.close_at is not None]
    return max(0.0, min(ages) - time.monotonic()) if ages else None


def let_go(connection: Any) -> None:
    connection.queries_log.clear()
    if connection.in_atomic_block or is_in_transaction(connection.connection):
        log.warning("a job left a transaction open on Django's connection %r: it is rolled back", connection.alias)
        abandon(connection)
    connection.close_if_unusable_or_obsolete()


def is_in_transaction(driver_connection: Any) -> bool:
    """The status from psycopg and psycopg2. With other drivers, only Django's own bookkeeping is known."""
    status = getattr(getattr(driver_connection, "info", None), "transaction_status", 0)
    return status in (1, 2, 3)  # active, in a transaction, in a failed one


def abandon(connection: Any) -> None:
    """Closes a connection within a transaction, which Django does not do by itself: it waits for the block's end."""
    connection.in_atomic_block = connection.needs_rollback = connection.closed_in_transaction = False
    connection.savepoint_ids, connection.atomic_blocks = [], []
    connection.close()
