"""The kinds of `connection=`, recognized by the names of their classes, so that no library is imported for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from jobq.errors import EnqueueError
from jobq.store.callers import asyncpg, django, psycopg2, psycopg3, sqlalchemy
from jobq.store.callers.steps import Result, Steps


class On(Protocol):
    def __call__(self, connection: Any, steps: Steps[Result], is_atomic: bool, /) -> Result: ...


class OnAsync(Protocol):
    def __call__(self, connection: Any, steps: Steps[Result], is_atomic: bool, /) -> Awaitable[Result]: ...


def at_once(_connection: Any, call: Callable[[], None]) -> None:
    """For drivers, which do not tell when a transaction commits."""
    call()


@dataclass(frozen=True, slots=True)
class Kind:
    """How steps are executed on one kind of connection."""

    on: On | None = None
    on_async: OnAsync | None = None
    when_committed: Callable[[Any, Callable[[], None]], None] = at_once
    when_committed_async: Callable[[Any, Callable[[], None]], Awaitable[None]] | None = None


SQLALCHEMY = Kind(on=sqlalchemy.on, when_committed=sqlalchemy.when_committed)
SQLALCHEMY_ASYNC = Kind(on_async=sqlalchemy.on_async, when_committed=sqlalchemy.when_committed)
ASYNCPG = Kind(on_async=asyncpg.on_async)
DJANGO = Kind(
    on=django.on,
    on_async=django.on_async,
    when_committed=django.when_committed,
    when_committed_async=django.when_committed_async,
)

KINDS = {
    ("psycopg", "Connection"): Kind(on=psycopg3.on),
    ("psycopg", "AsyncConnection"): Kind(on_async=psycopg3.on_async),
    ("psycopg2", "connection"): Kind(on=psycopg2.on),
    ("asyncpg", "Connection"): ASYNCPG,
    ("asyncpg", "PoolConnectionProxy"): ASYNCPG,
    ("sqlalchemy", "Connection"): SQLALCHEMY,
    ("sqlalchemy", "Session"): SQLALCHEMY,
    ("sqlalchemy", "scoped_session"): SQLALCHEMY,
    ("sqlalchemy", "AsyncConnection"): SQLALCHEMY_ASYNC,
    ("sqlalchemy", "AsyncSession"): SQLALCHEMY_ASYNC,
    ("sqlalchemy", "async_scoped_session"): SQLALCHEMY_ASYNC,
    ("django", "BaseDatabaseWrapper"): DJANGO,
    ("django", "ConnectionProxy"): DJANGO,
}
"""By package and name of a class or of one of its base classes."""

TAKEN = (
    "a Connection or Session of SQLAlchemy (with any driver for PostgreSQL), Django's connection, or a connection of "
    "psycopg or psycopg2"
)
TAKEN_ASYNC = (
    "an AsyncConnection or AsyncSession of SQLAlchemy (with any driver for PostgreSQL), Django's connection, psycopg's "
    "AsyncConnection, or a connection of asyncpg"
)

REMEDIES = {
    ("sqlalchemy", "Engine"): "Take one of its connections: with engine.begin() as connection: …",
    ("sqlalchemy", "AsyncEngine"): "Take one of its connections: async with engine.begin() as connection: …",
    ("sqlalchemy", "sessionmaker"): "Make a session: with Session.begin() as session: …",
    ("sqlalchemy", "async_sessionmaker"): "Make a session: async with Session.begin() as session: …",
    ("flask_sqlalchemy", "SQLAlchemy"): "Take its session: db.session.",
    ("psycopg_pool", "ConnectionPool"): "Take one of its connections: with pool.connection() as connection: …",
    ("psycopg_pool", "AsyncConnectionPool"): "Take one of its: async with pool.connection() as connection: …",
    ("psycopg2", "cursor"): "Take the connection that it belongs to: cursor.connection.",
    ("asyncpg", "Pool"): "Take one of its connections: async with pool.acquire() as connection: …",
    ("django", "ConnectionHandler"): 'Take one of them: connections["default"].',
}
"""For objects that hold connections and are not connections: how to get one from them."""


def kind_of(given: Any) -> Kind | None:
    return next((KINDS[name] for name in names_of(given.__class__) if name in KINDS), None)


@lru_cache(maxsize=256)
def names_of(cls: type) -> tuple[tuple[str, str], ...]:
    """The package and the name of a class, and of its base classes."""
    return tuple((base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__)


def refusal(given: Any, kind: Kind | None, *, is_async: bool) -> EnqueueError:
    """Why a connection cannot be used, and which ones can."""
    cls = given.__class__
    name = f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
    article = "an" if name[0].lower() in "aeiou" else "a"
    what = "connection is None" if given is None else f"connection is {article} {name}"
    if kind is not None and is_async:
        return EnqueueError(
            f"{what}, which would hold up the event loop. Use {TAKEN_ASYNC}; or call job.run_in_worker(connection=…), "
            "enqueue_many or job.complete without await."
        )
    if kind is not None:
        return EnqueueError(
            f"{what}, which is one of an event loop: await job.run_in_worker_async(connection=…) instead, or "
            "enqueue_many_async, or job.complete_async."
        )
    remedy = next((REMEDIES[name] for name in names_of(cls) if name in REMEDIES), None)
    taken = TAKEN_ASYNC if is_async else TAKEN
    return EnqueueError(f"{what}, which is not a connection to PostgreSQL. {remedy or f'It must be {taken}.'}")
