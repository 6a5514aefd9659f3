"""Jobs enqueued on the caller's own connection, whatever framework made it: they are there when it commits."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import django
import psycopg
import pytest
import sqlalchemy as sa
from django.conf import settings as django_settings
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from jobq import Job, enqueue_many, enqueue_many_async, register_job
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Store


@register_job
class Ship(Job):
    def __init__(self, order: int = 0) -> None:
        self.order = order

    def run(self) -> None:
        pass


def orders(store: "Store") -> list[int]:
    return [job.arguments.get("order") for job in store.unfinished()]


def libpq(url: str, driver: str = "postgresql+psycopg") -> sa.URL:
    parts = conninfo_to_dict(url)
    return sa.URL.create(
        driver, str(parts["user"]) if "user" in parts else None, None, None, None, str(parts["dbname"]),
        {name: str(value) for name, value in parts.items() if name in ("host", "port", "password")},
    )  # fmt: skip


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(libpq(database_url))
    yield engine
    engine.dispose()


@asynccontextmanager
async def async_engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(libpq(url))
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
def django_connection(database_url: str) -> Iterator[Any]:
    if not django_settings.configured:
        django_settings.configure(DATABASES={}, USE_TZ=True)
        django.setup()
    parts = conninfo_to_dict(database_url)
    connection = DatabaseWrapper(
        {
            "ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts.get("user", ""),
            "PASSWORD": parts.get("password", ""), "HOST": parts.get("host", ""), "PORT": parts.get("port", ""),
            "OPTIONS": {}, "ATOMIC_REQUESTS": False, "AUTOCOMMIT": True, "CONN_MAX_AGE": 0, "TIME_ZONE": None,
            "CONN_HEALTH_CHECKS": False, "TEST": {},
        }
    )  # fmt: skip
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    yield connection
    connection.close()


def test_a_session_of_sqlalchemy_takes_the_job_along(database: Database, store: "Store", engine: sa.Engine) -> None:
    with Session(engine) as session:
        assert Ship(1).run_in_worker(connection=session) is not None
        enqueue_many([Ship(2), Ship(3)], connection=session)
        session.rollback()
    assert orders(store) == []

    with Session(engine) as session, session.begin():
        Ship(4).run_in_worker(connection=session)
        enqueue_many([Ship(5), Ship(6)], connection=session)
        assert orders(store) == []
    assert orders(store) == [4, 5, 6]


def test_a_connection_of_sqlalchemy_takes_the_job_along(database: Database, store: "Store", engine: sa.Engine) -> None:
    with engine.connect() as connection:
        Ship(1).run_in_worker(connection=connection)
        savepoint = connection.begin_nested()
        Ship(2).run_in_worker(connection=connection)
        savepoint.rollback()
        connection.commit()
    assert orders(store) == [1]
    with engine.connect() as connection:
        Ship(3).run_in_worker(connection=connection)
        connection.commit()
        Ship(4).run_in_worker(connection=connection)
    assert orders(store) == [1, 3]


def test_djangos_connection_takes_the_job_along(database: Database, store: "Store", django_connection: Any) -> None:
    django_connection.connect()
    django_connection.set_autocommit(False)
    Ship(1).run_in_worker(connection=django_connection)
    enqueue_many([Ship(2), Ship(3)], connection=django_connection)
    django_connection.rollback()
    assert orders(store) == []
    enqueue_many([Ship(4), Ship(5)], connection=django_connection)
    django_connection.commit()
    assert orders(store) == [4, 5]


def test_many_jobs_on_a_connection_that_has_not_begun_its_transaction_roll_back_with_it(
    database: Database, store: "Store", database_url: str
) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        enqueue_many([Ship(1), Ship(2)], connection=connection)
        connection.rollback()
    assert orders(store) == []


def test_many_jobs_on_a_connection_in_autocommit_are_in_all_or_none(
    database: Database, store: "Store", connection: psycopg.Connection[Any]
) -> None:
    store.execute("ALTER TABLE jobq.jobs ADD CHECK (arguments <> '{\"order\": 4999}')")
    with pytest.raises(psycopg.errors.CheckViolation):
        enqueue_many([Ship(number) for number in range(5000)], connection=connection)
    assert orders(store) == []


def test_an_async_session_takes_the_job_along(database: Database, store: "Store", database_url: str) -> None:
    async def enqueue() -> None:
        async with async_engine(database_url) as engine:
            async with AsyncSession(engine) as session:
                await Ship(1).run_in_worker_async(connection=session)
                await session.rollback()
            async with AsyncSession(engine) as session:
                record = await Ship(2).run_in_worker_async(connection=session, priority=7, delay=60)
                assert record is not None
                assert (record.priority, record.state) == (7, "scheduled")
                await enqueue_many_async([Ship(3), Ship(4)], connection=session)
                await session.commit()
            async with engine.connect() as connection:
                await Ship(5).run_in_worker_async(connection=connection)
                await connection.commit()

    asyncio.run(enqueue())
    assert orders(store) == [2, 3, 4, 5]


def test_psycopgs_async_connection_takes_the_job_along(database: Database, store: "Store", database_url: str) -> None:
    async def enqueue() -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await enqueue_many_async([Ship(1), Ship(2)], connection=connection)
            await connection.rollback()
            await Ship(3).run_in_worker_async(connection=connection)

    asyncio.run(enqueue())
    assert orders(store) == [3]


def test_without_a_connection_an_event_loop_is_not_held_up_and_the_job_is_in(
    database: Database, store: "Store"
) -> None:
    async def enqueue() -> list[Any]:
        return await asyncio.gather(*(Ship(number).run_in_worker_async() for number in range(20)))

    records = asyncio.run(enqueue())
    assert sorted(orders(store)) == list(range(20))
    assert {record.source.rpartition("/")[2].partition(":")[0] for record in records} == {"test_transactions.py"}
