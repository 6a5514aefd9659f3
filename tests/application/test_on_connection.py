"""Tests of applications that never commit: jobs are enqueued, seen and run in the transaction that is rolled back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from typing import Any

import django
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from django.conf import settings as django_settings
from django.db import transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

import jobq
from jobq import Job, enqueue_many, references, register_job, register_schedule
from jobq.errors import EnqueueError
from jobq.registry import registry
from jobq.settings import Settings
from jobq.store.database import Database, use_database
from jobq.testing import (
    Clock,
    Databases,
    assert_enqueued,
    create_tables,
    empty_tables,
    enqueued_jobs,
    on_connection,
    refute_enqueued,
    run_due_jobs,
    run_due_jobs_async,
)

Run = Callable[[str], Any]


@register_job
class Writes(Job):
    """Writes on the connection of the test, then does as it is told."""

    execute: "Run"

    def __init__(self, text: str, then: str = "") -> None:
        self.text, self.then = text, then

    def run(self) -> str:
        Writes.execute(f"INSERT INTO notes VALUES ('{self.text}')")
        if self.then == "fail":
            raise LookupError("no paint")
        if self.then == "fail in a block":
            with transaction.atomic(using="of the test", savepoint=False):
                raise LookupError("no paint")
        if self.then == "break":
            Writes.execute("SELECT 1 / 0")
        if self.then == "enqueue":
            Writes(f"after {self.text}").run_in_worker()
        return self.text

    def get_retry_delay(self, attempt: int) -> float:
        return 600


def sqlalchemy_url(url: str, driver: str = "psycopg") -> sa.URL:
    parts = conninfo_to_dict(url)
    query = {name: str(value) for name, value in parts.items() if name in ("host", "port")}
    return sa.URL.create(
        f"postgresql+{driver}",
        username=str(parts.get("user", "")) or None,
        password=str(parts.get("password", "")) or None,
        database=str(parts["dbname"]),
        query=query,
    )


@contextmanager
def of_psycopg(url: str) -> Iterator[Any]:
    with psycopg.connect(url) as connection:
        Writes.execute = connection.execute  # type: ignore[assignment]
        yield connection
        connection.rollback()


@contextmanager
def of_sqlalchemy(url: str) -> Iterator[Any]:
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        Writes.execute = connection.exec_driver_sql
        yield connection
        connection.rollback()
    engine.dispose()


@contextmanager
def of_session(url: str) -> Iterator[Any]:
    """As SQLAlchemy's documentation has it: the code under test may commit, and nothing stays."""
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            Writes.execute = lambda text: session.execute(sa.text(text))
            yield session
        outer.rollback()
    engine.dispose()


@contextmanager
def of_scoped_session(url: str) -> Iterator[Any]:
    """As Flask-SQLAlchemy's `db.session` is; a job that fails in it has its session need a rollback."""
    engine = sa.create_engine(sqlalchemy_url(url))
    session = scoped_session(sessionmaker(engine))
    Writes.execute = lambda text: session.execute(sa.text(text))
    yield session
    session.remove()
    engine.dispose()


@contextmanager
def of_django(url: str) -> Iterator[Any]:
    connection = django_connection(url)
    Writes.execute = lambda text: connection.cursor().execute(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        django.db.connections["of the test"] = connection
        try:
            with transaction.atomic(using="of the test"):
                yield connection
                transaction.set_rollback(True, using="of the test")
        finally:
            connection.close()
            del django.db.connections["of the test"]


def django_connection(url: str) -> Any:
    if not django_settings.configured:
        django_settings.configure(DATABASES={}, USE_TZ=True)
        django.setup()
    parts = conninfo_to_dict(url)
    return DatabaseWrapper(
        {
            "ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts.get("user", ""),
            "PASSWORD": parts.get("password", ""), "HOST": parts.get("host", ""), "PORT": parts.get("port", ""),
            "OPTIONS": {"application_name": "test"}, "ATOMIC_REQUESTS": False, "AUTOCOMMIT": True, "CONN_MAX_AGE": 0,
            "TIME_ZONE": None, "CONN_HEALTH_CHECKS": False, "TEST": {},
        },
        "of the test",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def notes(database: Database, connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE notes (text text)")


@pytest.fixture(
    params=[of_psycopg, of_sqlalchemy, of_session, of_scoped_session, of_django], ids=lambda of: of.__name__[3:]
)
def lent(request: pytest.FixtureRequest, database_url: str, connection: psycopg.Connection[Any]) -> Iterator[Any]:
    """A connection in a transaction that is rolled back; afterwards nothing may have been left."""
    with request.param(database_url) as lent:
        yield lent
    for table in ("jobq.jobs", "jobq.results", "jobq.workers", "notes"):
        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table


@pytest.fixture
def own(lent: Any) -> Iterator[Any]:
    """The same connection, as that of every job of the test. No other can be used: no database is configured."""
    use_database(Database(Settings(env="production")))
    with on_connection(lent):
        yield lent


def outcomes(**options: Any) -> list[str]:
    return [attempt.outcome for attempt in run_due_jobs(**options)]


def test_jobs_are_seen_and_run_on_a_connection_that_is_given(lent: Any) -> None:
    Writes("a").run_in_worker(connection=lent)
    refute_enqueued(Writes)
    assert_enqueued(Writes, arguments={"text": "a"}, connection=lent, count=1)
    assert outcomes(connection=lent) == ["successful"]
    refute_enqueued(Writes, connection=lent)


def test_jobs_without_a_connection_go_to_that_of_the_test(own: Any) -> None:
    Writes("a", then="enqueue").run_in_worker()
    enqueue_many([Writes("b"), Writes("c")])
    assert_enqueued(Writes, count=3)
    assert [attempt.value for attempt in run_due_jobs()] == ["a", "b", "c", "after a"]


def test_jobs_are_looked_up_on_the_connection_of_the_test(own: Any) -> None:
    record = Writes("a").run_in_worker()
    assert record is not None
    assert [found.id for found in jobq.find()] == [record.id]
    assert jobq.get(record).state == "pending"
    run_due_jobs()
    assert jobq.get(record).outcome == "successful"


def test_what_a_failed_job_did_stays_as_under_a_worker(own: Any) -> None:
    Writes("a", then="fail").run_in_worker()
    with pytest.raises(LookupError, match="no paint"):
        run_due_jobs()
    Writes("b").run_in_worker()
    assert outcomes() == ["successful"]
    assert count_of_notes(own) == 2


def test_a_job_that_breaks_the_transaction_is_undone_alone(own: Any) -> None:
    Writes("a").run_in_worker()
    Writes("b", then="break").run_in_worker(retries=1)
    Writes("c").run_in_worker()
    assert outcomes(raise_errors=False) == ["successful", "errored", "successful"]
    assert_enqueued(Writes, arguments={"text": "b"}, delay_between=(500, 700))
    assert count_of_notes(own) == 2


def count_of_notes(own: Any) -> int:
    """Asked as each kind of connection is asked."""
    if isinstance(own, DatabaseWrapper):
        with own.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM notes")
            return int(cursor.fetchone()[0])
    return int(Writes.execute("SELECT count(*) FROM notes").fetchone()[0])


def test_a_failed_atomic_block_without_a_savepoint_is_undone_alone(database_url: str) -> None:
    with of_django(database_url) as connection, on_connection(connection):
        Writes("a", then="fail in a block").run_in_worker()
        Writes("b").run_in_worker()
        assert outcomes(raise_errors=False) == ["errored", "successful"]
        assert count_of_notes(connection) == 1


class Base(DeclarativeBase):
    pass


class Unit(Base):
    __tablename__ = "units"
    id: Mapped[int] = mapped_column(primary_key=True)


@register_job
class Flushes(Job):
    """Adds a row through the session of the test, which needs a rollback where the row is there already."""

    session: Any

    def run(self) -> None:
        Flushes.session.add(Unit(id=1))
        Flushes.session.flush()


@pytest.mark.parametrize("of", [of_session, of_scoped_session])
def test_a_flush_that_fails_leaves_the_session_of_the_test_usable(
    of: Any, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("CREATE TABLE units (id integer PRIMARY KEY)")
    with of(database_url) as session, on_connection(session):
        Flushes.session = session
        Flushes().run_in_worker()
        assert outcomes() == ["successful"]
        session.expunge_all()
        Flushes().run_in_worker()
        with pytest.raises(sa.exc.IntegrityError):
            run_due_jobs()
        assert session.scalars(sa.select(Unit.id)).all() == [1]
        Writes("after").run_in_worker()
        assert outcomes() == ["successful"]


def test_time_passes_on_the_connection_of_the_test(own: Any) -> None:
    Writes("a").run_in_worker(delay=3600)
    Writes("b").run_in_worker(delay=7200, expires=7201)
    with Clock() as clock:
        assert outcomes() == []
        clock.advance(hours=1)
        assert outcomes() == ["successful"]
        clock.advance(timedelta(hours=2))
        assert outcomes() == []
        refute_enqueued(Writes)


def test_ticks_fire_on_the_connection_of_the_test(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_scheduled", {})
    register_schedule("hourly", Writes("tick"), "0 * * * *")
    assert [attempt.value for attempt in run_due_jobs(until=2 * 3600, with_schedules=True)] == ["tick", "tick"]


def test_inside_an_atomic_block_of_django_its_connection_is_used_unasked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_django(database_url) as connection:
        monkeypatch.setattr("django.db.connection", connection)
        Writes("a").run_in_worker(connection=connection)
        assert_enqueued(Writes, count=1)
        assert outcomes() == ["successful"]
        refute_enqueued(Writes)
    Writes("b").run_in_worker()
    assert_enqueued(Writes, count=1)


def test_in_autocommit_each_statement_stays(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection, on_connection(connection):
        Writes.execute = connection.execute  # type: ignore[assignment]
        Writes("a", then="break").run_in_worker()
        Writes("b").run_in_worker()
        assert outcomes(raise_errors=False) == ["errored", "successful"]
        assert count_of_notes(connection) == 2
        Writes("c").run_in_worker()
        empty_tables()
    refute_enqueued(Writes)


def test_afterwards_jobs_go_to_the_database_again(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, on_connection(connection), on_connection(connection):
        pass
    Writes("a").run_in_worker()
    assert_enqueued(Writes, count=1)


# In an event loop


@asynccontextmanager
async def of_async_session(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sqlalchemy_url(url))
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        await outer.rollback()
    await engine.dispose()


@asynccontextmanager
async def of_async_connection(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sqlalchemy_url(url))
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


@asynccontextmanager
async def of_async_psycopg(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection
        await connection.rollback()


@register_job
class Says(Job):
    def __init__(self, text: str, again: bool = False) -> None:
        self.text, self.again = text, again

    async def run(self) -> str:
        await asyncio.sleep(0)
        if self.again:
            await Says("again").run_in_worker_async()
        return self.text


@pytest.mark.parametrize(
    "of", [of_async_session, of_async_connection, of_async_psycopg], ids=lambda of: of.__name__[3:]
)
def test_jobs_run_on_a_connection_of_an_event_loop(of: Any, database_url: str) -> None:
    async def in_loop() -> None:
        async with of(database_url) as own:
            with on_connection(own):
                await Says("a").run_in_worker_async()
                await Says("b").run_in_worker_async(delay=3600)
                assert [attempt.value for attempt in await run_due_jobs_async()] == ["a"]
                for refused in (run_due_jobs, enqueued_jobs, Clock().__enter__):
                    with pytest.raises(TypeError, match="only run_due_jobs_async takes it"):
                        refused()
                assert [attempt.value for attempt in await run_due_jobs_async(until=3600)] == ["b"]

    asyncio.run(in_loop())
    refute_enqueued(Says)


def test_in_a_loop_jobs_run_on_jobqs_own_connection(database: Database) -> None:
    async def in_loop() -> None:
        await Says("a", again=True).run_in_worker_async()
        assert [attempt.value for attempt in await run_due_jobs_async()] == ["a", "again"]
        Says("b").run_in_worker()
        assert [attempt.value for attempt in run_due_jobs()] == ["b"], "in a thread beside this loop"

    asyncio.run(in_loop())


def test_in_a_loop_an_ordinary_connection_is_used_in_a_thread(database_url: str) -> None:
    async def in_loop() -> None:
        with psycopg.connect(database_url) as own, on_connection(own):
            await Says("a", again=True).run_in_worker_async()
            assert [attempt.value for attempt in await run_due_jobs_async()] == ["a", "again"]
            own.rollback()

    asyncio.run(in_loop())
    refute_enqueued(Says)


# Tables in the database of a framework


@pytest.fixture
def bare_url(databases: Databases, settings: Settings, connection: psycopg.Connection[Any]) -> str:
    """A database without jobq's tables."""
    connection.execute("DROP SCHEMA jobq CASCADE")
    assert settings.database_url is not None
    return settings.database_url


@pytest.mark.parametrize("of", [of_psycopg, of_sqlalchemy, of_session, of_django], ids=lambda of: of.__name__[3:])
def test_the_tables_are_created_in_the_database_of_a_connection(of: Any, bare_url: str) -> None:
    with of(bare_url) as connection:
        create_tables(connection)
        create_tables(connection)
        with on_connection(connection):
            Writes("a").run_in_worker()
            assert_enqueued(Writes, count=1)


def test_the_tables_are_created_by_an_address_or_an_engine(bare_url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(bare_url))
    create_tables(engine)
    asyncpg_url = sqlalchemy_url(bare_url, "asyncpg").update_query_dict({"prepared_statement_cache_size": "0"})
    create_tables(create_async_engine(asyncpg_url))
    create_tables(bare_url)
    with closing(psycopg2.connect(bare_url)) as connection:
        create_tables(connection)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobq.jobs").scalar() == 0
    engine.dispose()


def test_what_leads_to_no_database_is_named() -> None:
    with pytest.raises(TypeError, match="int does not lead to a database"):
        create_tables(5)
    with pytest.raises(EnqueueError), on_connection(5):
        Writes("a").run_in_worker()


class Labelled(Base):
    __tablename__ = "labelled"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]


@register_job
class Label(Job):
    """Commits the session of the application, as a job of Flask-SQLAlchemy does."""

    scoped: Any

    def __init__(self, row: Labelled):
        self.row = row

    def run(self) -> bool:
        self.row.label = "new"
        Label.scoped.commit()
        return self.row in Label.scoped


@pytest.mark.parametrize("is_of_thread", [True, False])
def test_a_row_belongs_to_the_scoped_session_that_works_on_the_connection_of_the_test(
    database_url: str, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, is_of_thread: bool
) -> None:
    connection.execute("CREATE TABLE labelled (id integer PRIMARY KEY, label text)")
    monkeypatch.setattr(references, "SQLALCHEMY", {})
    engine = sa.create_engine(sqlalchemy_url(database_url))
    with engine.connect() as lent:
        outer = lent.begin()
        scope = None if is_of_thread else (lambda: "of this attempt")
        sessions = scoped_session(sessionmaker(lent, join_transaction_mode="create_savepoint"), scope)
        monkeypatch.setattr(Label, "scoped", sessions, raising=False)
        references.use_sqlalchemy(sessions, Base)
        lent.execute(sa.text("INSERT INTO labelled VALUES (1, 'old')"))
        with on_connection(lent):
            row = sessions.get_one(Labelled, 1)
            sessions.remove()
            Label(row).run_in_worker()
            (attempt,) = run_due_jobs()
        assert attempt.value is True
        assert lent.scalar(sa.text("SELECT label FROM labelled")) == "new"
        sessions.remove()
        outer.rollback()
    engine.dispose()


def test_a_session_on_the_connection_of_the_test_is_not_compared_with_jobqs_own_database(
    database_url: str, database: Database
) -> None:
    engine = sa.create_engine(sqlalchemy_url(database_url))
    with engine.connect() as lent, on_connection(lent), Session(lent) as session:
        Writes("a").run_in_worker(connection=session)
        assert_enqueued(Writes, count=1)
        session.rollback()
    engine.dispose()
    assert database.compared == set()
