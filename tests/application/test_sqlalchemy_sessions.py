"""SQLAlchemy in a worker: dead connections of pools, sessions that jobs leave open, rows for coroutines, forks."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from jobq import use_sqlalchemy
from jobq.errors import ArgumentsError

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

SHOP = """
import os

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
where = {"host": parts["host"], "port": int(parts.get("port", 5432)), "user": parts["user"]}
ordinary = {**where, "dbname": parts["dbname"], "application_name": "shop"}
engine = create_engine(f"postgresql+{os.environ.get('SHOP_DRIVER', 'psycopg')}://", connect_args=ordinary)
Session = sessionmaker(engine)
Scoped = scoped_session(Session)
if os.environ.get("SHOP_ASYNC_DRIVER") == "asyncpg":
    options = {**where, "database": parts["dbname"], "server_settings": {"application_name": "shop"}}
    async_engine = create_async_engine("postgresql+asyncpg://", connect_args=options)
else:
    async_engine = create_async_engine("postgresql+psycopg://", connect_args=ordinary)
AsyncSession = async_sessionmaker(async_engine)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    shipped: Mapped[int] = mapped_column(default=0)
"""

JOBS = """
import asyncio
import os

from shop import AsyncSession, Base, Order, Scoped, Session
from sqlalchemy import text

from jobq import Job, register_job, use_sqlalchemy

for kind in os.environ["SHOP_SESSIONS"].split():
    use_sqlalchemy({"ordinary": Session, "scoped": Scoped, "async": AsyncSession}[kind], Base)


class Work(Job):
    def __init__(self, order: Order):
        self.order = order


@register_job
class Ship(Work):
    def run(self):
        with Session.begin() as session:
            session.merge(self.order).shipped += 1
        return self.order.customer


@register_job
class ShipAsync(Work):
    async def run(self):
        customer = self.order.customer
        async with AsyncSession.begin() as session:
            session.add(self.order)
            self.order.shipped += 1
        return customer


@register_job
class Look(Job):
    def run(self):
        with Session() as session:
            return session.scalar(text("SELECT count(*) FROM orders"))


@register_job
class LookAsync(Job):
    async def run(self):
        async with AsyncSession() as session:
            return await session.scalar(text("SELECT count(*) FROM orders"))


@register_job
class LeaveOpen(Job):
    def run(self):
        return Scoped.scalar(text("SELECT count(*) FROM orders"))


@register_job
class Fork(Job):
    def run(self):
        with Session() as session:
            before = session.scalar(text("SELECT pg_backend_pid()"))
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            with Session() as session:
                os.write(write, str(session.scalar(text("SELECT pg_backend_pid()"))).encode())
            os._exit(0)
        os.waitpid(child, 0)
        with Session() as session:
            after = session.scalar(text("SELECT pg_backend_pid()"))
        return [before, after, int(os.read(read, 100))]
"""

ROW = json.dumps({"order": {"$": "sqlalchemy row", "v": {"class": "shop.Order", "key": [1]}}})


@pytest.fixture
def shop(
    application: "Application", database_url: str, store: "Store", monkeypatch: pytest.MonkeyPatch
) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    monkeypatch.setenv("SHOP_SESSIONS", "ordinary")
    application.write("shop.py", SHOP)
    application.write("jobs.py", JOBS)
    store.execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, shipped int)")
    store.execute("INSERT INTO orders VALUES (1, 'ada', 0)")
    return application


def add(store: "Store", job_class: str, arguments: str = "{}") -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=arguments)
    assert job_id is not None
    return job_id


def backends(store: "Store") -> list[Any]:
    return store.rows(
        "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'shop' AND datname = current_database()"
    )


def ended_well(store: "Store", *jobs: int) -> bool:
    results = [store.results(job) for job in jobs]
    for ended in results:
        assert [result.error_message for result in ended if result.outcome != "successful"] == []
    return all(results)


@pytest.mark.parametrize(
    ("job_class", "driver", "concurrency"),
    [
        ("Look", "psycopg", "1"),
        ("Look", "psycopg2", "1"),
        ("LookAsync", "psycopg", "1"),
        ("LookAsync", "psycopg", "10"),
        ("LookAsync", "asyncpg", "10"),
    ],
)
def test_a_connection_that_died_in_a_pool_costs_no_attempt(
    shop: "Application", store: "Store", eventually: Eventually, job_class: str, driver: str, concurrency: str
) -> None:
    drivers = {"SHOP_DRIVER": "psycopg" if driver == "asyncpg" else driver, "SHOP_ASYNC_DRIVER": driver}
    with shop.start("run", "--max-processes", "1", "--concurrency", concurrency, environment=drivers):
        for _ in range(3):
            job = add(store, job_class)
            eventually(lambda job=job: ended_well(store, job))
            (backend,) = backends(store)
            store.execute("SELECT pg_terminate_backend(%s, 5000)", backend.pid)


def test_a_session_that_a_job_left_open_holds_no_transaction_after_it(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    with shop.start("run", "--max-processes", "1", environment={"SHOP_SESSIONS": "scoped"}):
        job = add(store, "LeaveOpen")
        eventually(lambda: ended_well(store, job))
        assert [backend.state for backend in backends(store)] == ["idle"]


@pytest.mark.parametrize("concurrency", ["1", "10"])
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_coroutine_gets_its_row_from_an_async_sessionmaker_and_can_change_it(
    shop: "Application", store: "Store", eventually: Eventually, driver: str, concurrency: str
) -> None:
    environment = {"SHOP_SESSIONS": "async", "SHOP_ASYNC_DRIVER": driver}
    with shop.start("run", "--max-processes", "1", "--concurrency", concurrency, environment=environment):
        for _ in range(3):
            job = add(store, "ShipAsync", ROW)
            eventually(lambda job=job: ended_well(store, job))
    assert store.results()[0].value == "ada"
    assert store.rows("SELECT shipped FROM orders") == [(3,)]


def test_an_ordinary_job_needs_an_ordinary_sessionmaker_for_its_rows(shop: "Application", store: "Store") -> None:
    job = add(store, "Ship", ROW)
    shop.jobq("run", "--drain", "--max-processes", "1", environment={"SHOP_SESSIONS": "async"})
    assert "with an ordinary sessionmaker" in store.results(job)[0].error_message
    jobs = [add(store, "Ship", ROW), add(store, "ShipAsync", ROW)]
    shop.jobq("run", "--drain", "--max-processes", "1", environment={"SHOP_SESSIONS": "async ordinary"})
    assert ended_well(store, *jobs)
    assert store.rows("SELECT shipped FROM orders") == [(2,)]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_process_that_a_job_forks_leaves_the_connections_to_the_job(
    shop: "Application", store: "Store", driver: str
) -> None:
    jobs = [add(store, "Fork"), add(store, "Fork")]
    shop.jobq("run", "--drain", "--max-processes", "1", environment={"SHOP_DRIVER": driver})
    assert ended_well(store, *jobs)
    for job in jobs:
        before, after, forked = store.results(job)[0].value
        assert before == after != forked


def test_what_makes_no_sessions_is_refused_when_use_sqlalchemy_is_called() -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, sessionmaker

    class Base(DeclarativeBase):
        pass

    with pytest.raises(ArgumentsError, match=r"got a sqlalchemy\.engine\.base\.Engine: pass sessionmaker"):
        use_sqlalchemy(create_engine("postgresql+psycopg://"), Base)  # type: ignore[arg-type]
    with pytest.raises(ArgumentsError, match="takes a declarative base"):
        use_sqlalchemy(sessionmaker(), "Base")
