"""Connections of a caller's own, one of each kind that jobq takes: for tests that hold for all of them."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any

import asyncpg
import django
import flask
import flask_sqlalchemy
import pg8000.dbapi
import psycopg
import psycopg2
import psycopg2.extras
import sqlalchemy as sa
from django.conf import settings as django_settings
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from jobq import Job, enqueue_many, enqueue_many_async
from jobq.store import callers


@dataclass
class Caller:
    """A connection of one kind, in a transaction, and how its owner works with it."""

    connection: Any
    execute: Callable[[str], Any]
    commit: Callable[[], Any]
    rollback: Callable[[], Any]


class Address:
    """Where the test's database is, as each driver wants it."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = conninfo_to_dict(url)
        self.host, self.port = str(parts["host"]), int(parts.get("port") or 5432)
        self.user, self.database = str(parts["user"]), str(parts["dbname"])
        self.password = str(parts.get("password") or "")

    def psycopg(self) -> Any:
        return psycopg.connect(self.url)

    def psycopg2(self) -> Any:
        return psycopg2.connect(self.url)

    def pg8000(self) -> Any:
        place = {"unix_sock": f"{self.host}/.s.PGSQL.{self.port}"} if self.host[0] == "/" else {"host": self.host}
        return pg8000.dbapi.connect(
            self.user, port=self.port, database=self.database, password=self.password or None, **place
        )

    def asyncpg(self, **options: Any) -> Any:
        return asyncpg.connect(**self.for_asyncpg(), **options)

    def for_asyncpg(self) -> dict[str, Any]:
        return {
            "host": self.host, "port": self.port, "user": self.user, "database": self.database,
            "password": self.password or None,
        }  # fmt: skip

    def engine(self, driver: str, autocommit: bool = False) -> sa.Engine:
        return sa.create_engine(f"postgresql+{driver}://", creator=getattr(self, driver), **isolation(autocommit))

    def async_engine(self, driver: str, autocommit: bool = False) -> Any:
        connect = functools.partial(psycopg.AsyncConnection.connect, self.url)
        return create_async_engine(
            f"postgresql+{driver}://",
            async_creator=self.asyncpg if driver == "asyncpg" else connect,
            **isolation(autocommit),
        )


def isolation(autocommit: bool) -> dict[str, Any]:
    return {"isolation_level": "AUTOCOMMIT"} if autocommit else {}


@contextmanager
def on_psycopg(address: Address, *, autocommit: bool = False) -> Iterator[Caller]:
    with closing(psycopg.connect(address.url, row_factory=dict_row, autocommit=autocommit)) as connection:
        yield Caller(connection, lambda sql: connection.execute(sql.encode()), connection.commit, connection.rollback)


@contextmanager
def on_psycopg2(address: Address, *, autocommit: bool = False) -> Iterator[Caller]:
    factory = psycopg2.extras.RealDictCursor
    with closing(psycopg2.connect(address.url, cursor_factory=factory)) as connection:
        connection.autocommit = autocommit
        yield Caller(connection, lambda sql: connection.cursor().execute(sql), connection.commit, connection.rollback)


@contextmanager
def on_connection(address: Address, driver: str, *, autocommit: bool = False) -> Iterator[Caller]:
    engine = address.engine(driver, autocommit)
    try:
        with engine.connect() as connection:
            yield Caller(
                connection, lambda sql: connection.execute(sa.text(sql)), connection.commit, connection.rollback
            )
    finally:
        engine.dispose()


@contextmanager
def on_session(address: Address, driver: str, *, autocommit: bool = False) -> Iterator[Caller]:
    engine = address.engine(driver, autocommit)
    try:
        with Session(engine) as session:
            yield Caller(session, lambda sql: session.execute(sa.text(sql)), session.commit, session.rollback)
    finally:
        engine.dispose()


@contextmanager
def on_scoped_session(address: Address, *, autocommit: bool = False) -> Iterator[Caller]:
    engine = address.engine("psycopg2", autocommit)
    session = scoped_session(sessionmaker(engine))
    try:
        yield Caller(session, lambda sql: session.execute(sa.text(sql)), session.commit, session.rollback)
    finally:
        session.remove()
        engine.dispose()


@contextmanager
def on_flask(address: Address, *, autocommit: bool = False) -> Iterator[Caller]:
    app = flask.Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg2://"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"creator": address.psycopg2, **isolation(autocommit)}
    db = flask_sqlalchemy.SQLAlchemy(app)
    with app.app_context():
        try:
            yield Caller(
                db.session, lambda sql: db.session.execute(sa.text(sql)), db.session.commit, db.session.rollback
            )
        finally:
            db.session.remove()
            db.engine.dispose()


def django_settings_of(name: str, *, autocommit: bool = False, **others: str) -> dict[str, Any]:
    """What DATABASES has of one database, with what Django fills in."""
    if not django_settings.configured:
        django_settings.configure(DATABASES={}, USE_TZ=True)
        django.setup()
    empty = dict.fromkeys(("USER", "PASSWORD", "HOST", "PORT"), "")
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": name, **empty, **others, "OPTIONS": {}, "TEST": {},
        "ATOMIC_REQUESTS": False, "AUTOCOMMIT": autocommit, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False,
        "TIME_ZONE": None,
    }  # fmt: skip


def django_wrapper(address: Address, *, autocommit: bool = False) -> Any:
    others = {
        "USER": address.user, "PASSWORD": address.password, "HOST": address.host, "PORT": str(address.port)
    }  # fmt: skip
    return DatabaseWrapper(django_settings_of(address.database, autocommit=autocommit, **others))


@contextmanager
def on_django(address: Address, *, autocommit: bool = False) -> Iterator[Caller]:
    with closing(django_wrapper(address, autocommit=autocommit)) as connection:
        yield Caller(connection, lambda sql: connection.cursor().execute(sql), connection.commit, connection.rollback)


SYNC: dict[str, Callable[..., AbstractContextManager[Caller]]] = {
    "psycopg": on_psycopg,
    "psycopg2": on_psycopg2,
    **{f"Connection {driver}": functools.partial(on_connection, driver=driver)
       for driver in ("psycopg", "psycopg2", "pg8000")},
    **{f"Session {driver}": functools.partial(on_session, driver=driver)
       for driver in ("psycopg", "psycopg2", "pg8000")},
    "scoped_session": on_scoped_session,
    "Flask-SQLAlchemy": on_flask,
    "Django": on_django,
}  # fmt: skip


@asynccontextmanager
async def on_async_psycopg(address: Address, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    connect = psycopg.AsyncConnection.connect(address.url, row_factory=dict_row, autocommit=autocommit)
    async with await connect as connection:
        yield Caller(connection, lambda sql: connection.execute(sql.encode()), connection.commit, connection.rollback)


class Row(asyncpg.Record):
    """A class of records of the caller's own."""


@asynccontextmanager
async def on_asyncpg(address: Address, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    connection = await address.asyncpg(record_class=Row)
    try:
        yield in_transaction(connection, autocommit)
    finally:
        await connection.close()


@asynccontextmanager
async def on_asyncpg_pool(address: Address, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    pool = asyncpg.create_pool(**address.for_asyncpg(), min_size=1, max_size=1)
    async with pool, pool.acquire() as connection:
        yield in_transaction(connection, autocommit)


def in_transaction(connection: Any, autocommit: bool) -> Caller:
    """With asyncpg a transaction begins when its owner says so."""
    begun: list[Any] = []

    async def execute(sql: str) -> Any:
        if not begun and not autocommit:
            begun.append(connection.transaction())
            await begun[-1].start()
        return await connection.execute(sql)

    return Caller(connection, execute, lambda: begun.pop().commit(), lambda: begun.pop().rollback())


@asynccontextmanager
async def on_async_connection(address: Address, driver: str, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    engine = address.async_engine(driver, autocommit)
    try:
        async with engine.connect() as connection:
            yield Caller(
                connection, lambda sql: connection.execute(sa.text(sql)), connection.commit, connection.rollback
            )
    finally:
        await engine.dispose()


@asynccontextmanager
async def on_async_session(address: Address, driver: str, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    engine = address.async_engine(driver, autocommit)
    try:
        async with AsyncSession(engine) as session:
            yield Caller(session, lambda sql: session.execute(sa.text(sql)), session.commit, session.rollback)
    finally:
        await engine.dispose()


@asynccontextmanager
async def on_async_scoped_session(address: Address, *, autocommit: bool = False) -> AsyncIterator[Caller]:
    engine = address.async_engine("asyncpg", autocommit)
    session = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
    try:
        yield Caller(session, lambda sql: session.execute(sa.text(sql)), session.commit, session.rollback)
    finally:
        await session.remove()
        await engine.dispose()


ASYNC: dict[str, Callable[..., AbstractAsyncContextManager[Caller]]] = {
    "psycopg": on_async_psycopg,
    "asyncpg": on_asyncpg,
    "asyncpg's pool": on_asyncpg_pool,
    **{f"AsyncConnection {driver}": functools.partial(on_async_connection, driver=driver)
       for driver in ("psycopg", "asyncpg")},
    **{f"AsyncSession {driver}": functools.partial(on_async_session, driver=driver)
       for driver in ("psycopg", "asyncpg")},
    "async_scoped_session": on_async_scoped_session,
}  # fmt: skip


@dataclass
class Kind:
    """Steps of a test, carried out on a connection of one kind, in an event loop where it needs one."""

    address: Address
    sync: Callable[..., AbstractContextManager[Caller]] | None = None
    asynchronous: Callable[..., AbstractAsyncContextManager[Caller]] | None = None

    def run(self, act: "Callable[[On], Awaitable[Any]]", *, autocommit: bool = False) -> Any:
        async def with_sync() -> Any:
            assert self.sync is not None
            with self.sync(self.address, autocommit=autocommit) as caller:
                return await act(On(caller, is_async=False))

        async def with_async() -> Any:
            assert self.asynchronous is not None
            async with self.asynchronous(self.address, autocommit=autocommit) as caller:
                await caller.execute("SELECT 1")
                return await act(On(caller, is_async=True))

        if self.sync is None:
            return asyncio.run(with_async())
        # No event loop, as Django would refuse to work in one: nothing here waits.
        try:
            with_sync().send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("a sync step waited")


@dataclass
class On:
    caller: Caller
    is_async: bool

    async def enqueue(self, job: Job, **options: Any) -> Any:
        if self.is_async:
            return await job.run_in_worker_async(connection=self.caller.connection, **options)
        return job.run_in_worker(connection=self.caller.connection, **options)

    async def enqueue_many(self, jobs: list[Any]) -> Any:
        if self.is_async:
            return await enqueue_many_async(jobs, connection=self.caller.connection)
        return enqueue_many(jobs, connection=self.caller.connection)

    async def when_committed(self, call: Callable[[], None]) -> None:
        if self.is_async:
            await callers.when_committed_async(self.caller.connection, call)
        else:
            callers.when_committed(self.caller.connection, call)

    async def execute(self, sql: str) -> None:
        await self.done(self.caller.execute(sql))

    async def commit(self) -> None:
        await self.done(self.caller.commit())

    async def rollback(self) -> None:
        await self.done(self.caller.rollback())

    async def done(self, result: Any) -> None:
        if self.is_async:
            await result


def kind_named(name: str, url: str) -> Kind:
    if name.startswith("async "):
        return Kind(Address(url), asynchronous=ASYNC[name.removeprefix("async ")])
    return Kind(Address(url), sync=SYNC[name])


NAMES = [*SYNC, *(f"async {name}" for name in ASYNC)]
