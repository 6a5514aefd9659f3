"""Jobs on connections of the caller's own, with every driver and framework that jobq takes."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import django
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from connections import NAMES, SYNC, Address, Kind, On, django_settings_of, kind_named
from django.db.backends.sqlite3.base import DatabaseWrapper as SqliteWrapper
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

import jobq
from jobq import Job, enqueue_many, enqueue_many_async, register_job
from jobq.errors import DatabaseForbidden, DatabaseReadOnly, EnqueueError, SchemaMissing
from jobq.store import callers, migrations
from jobq.store.database import Database
from jobq.testing import used

if TYPE_CHECKING:
    from conftest import Application, Store


@register_job
class Deliver(Job):
    def __init__(self, order: int = 0, note: str = "") -> None:
        self.order = order
        self.note = note

    def run(self) -> None:
        pass


NOTE = "100% 'of' \\ it: :name %(name)s $1 ü\n"
"""What some driver or other takes for its own."""


def orders(store: "Store") -> list[int]:
    return sorted(job.arguments["order"] for job in store.unfinished())


def many(count: int) -> list[Deliver]:
    return [Deliver(number, NOTE) for number in range(count)]


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest, database: Database, database_url: str) -> Kind:
    return kind_named(request.param, database_url)


# What is true on each of them


def test_a_job_is_there_when_its_transaction_commits_and_not_when_it_rolls_back(kind: Kind, store: "Store") -> None:
    later = datetime.now(UTC).replace(microsecond=123457) + timedelta(days=1)

    async def act(on: On) -> Any:
        await on.enqueue(Deliver(1))
        await on.rollback()
        await on.execute("SELECT 1")
        record = await on.enqueue(
            Deliver(2, NOTE), delay=later, expires=later + timedelta(hours=1), priority=-7, retries=3,
            unique_key=NOTE.strip(), timeout=2.5,
        )  # fmt: skip
        assert orders(store) == []
        await on.commit()
        return record

    record = kind.run(act)

    (job,) = store.unfinished()
    assert (job.arguments, job.priority, job.retries) == ({"order": 2, "note": NOTE}, -7, 3)
    assert (job.unique_key, job.state, job.timeout) == (NOTE.strip(), "scheduled", 2.5)
    assert (job.run_at, job.expires_at) == (later, later + timedelta(hours=1))
    assert (record.id, record.state, record.enqueued_at) == (job.id, "scheduled", job.enqueued_at)
    assert (record.run_at, record.expires_at) == (job.run_at, job.expires_at)


def test_a_job_is_looked_up_in_the_transaction_that_enqueued_it(kind: Kind, database: Database) -> None:
    async def act(on: On) -> None:
        await on.execute("SET LOCAL datestyle = 'German'")
        record = await on.enqueue(Deliver(1, NOTE), priority=3)
        connection = on.caller.connection
        if on.is_async:
            found = await jobq.get_async(record.id, connection=connection)
            listed = [one async for one in jobq.find_async("class:*Deliver", connection=connection)]
        else:
            found = jobq.get(record.id, connection=connection)
            listed = list(jobq.find("class:*Deliver", connection=connection))
        assert (found.arguments, found.enqueued_at) == ({"order": 1, "note": NOTE}, record.enqueued_at)
        assert [(one.id, one.run_at) for one in listed] == [(record.id, record.run_at)]

    kind.run(act)


def test_a_job_whose_key_is_held_is_none_and_the_transaction_goes_on(kind: Kind, store: "Store") -> None:
    async def act(on: On) -> Any:
        first = await on.enqueue(Deliver(1), unique_key="held")
        second = await on.enqueue(Deliver(2), unique_key="held")
        await on.enqueue(Deliver(3))
        await on.commit()
        return first, second

    first, second = kind.run(act)
    assert (first.unique_key, second) == ("held", None)
    assert orders(store) == [1, 3]


@pytest.mark.parametrize("count", [3, 250])
def test_many_jobs_are_there_when_their_transaction_commits(kind: Kind, store: "Store", count: int) -> None:
    async def act(on: On) -> Any:
        await on.enqueue_many(many(count))
        await on.rollback()
        await on.execute("SELECT 1")
        records = await on.enqueue_many(many(count))
        assert orders(store) == []
        await on.commit()
        return records

    records = kind.run(act)
    jobs = store.unfinished()
    assert [record.id for record in records] == [job.id for job in jobs]
    assert [job.arguments for job in jobs] == [{"order": number, "note": NOTE} for number in range(count)]
    assert {record.enqueued_at for record in records} == {job.enqueued_at for job in jobs}
    assert {record.run_at for record in records} == {job.run_at for job in jobs}


@register_job
class Mixed(Job):
    """Every third one has a unique key, of which each is held twice."""

    def __init__(self, order: int = 0) -> None:
        self.order = order

    def run(self) -> None:
        pass

    def get_unique_key(self) -> str | None:
        return f"{self.order // 6}" if self.order % 3 == 0 else None


def test_of_many_jobs_those_whose_keys_are_held_are_none(kind: Kind, store: "Store") -> None:
    async def act(on: On) -> Any:
        records = await on.enqueue_many([Mixed(number) for number in range(240)])
        await on.commit()
        return records

    records = kind.run(act)
    assert [number for number, record in enumerate(records) if record is None] == list(range(3, 240, 6))
    assert [record.id for record in records if record is not None] == [job.id for job in store.unfinished()]


def test_no_setting_of_the_session_changes_a_job(kind: Kind, store: "Store") -> None:
    async def act(on: On) -> Any:
        for setting in (
            "datestyle = 'German'", "timezone = 'Asia/Kolkata'", "search_path = ''", "bytea_output = 'escape'",
            "standard_conforming_strings = off", "extra_float_digits = -15", "intervalstyle = 'sql_standard'",
        ):  # fmt: skip
            await on.execute(f"SET LOCAL {setting}")
        records = [await on.enqueue(Deliver(0, NOTE), delay=90), *await on.enqueue_many(many(3))]
        records += await on.enqueue_many(many(150))
        await on.commit()
        return records

    records = kind.run(act)
    jobs = store.unfinished()
    assert [(record.id, record.enqueued_at, record.run_at) for record in records] == [
        (job.id, job.enqueued_at, job.run_at) for job in jobs
    ]
    assert jobs[0].run_at - jobs[0].enqueued_at == timedelta(seconds=90)
    assert {job.arguments["note"] for job in jobs} == {NOTE}


def test_without_jobqs_tables_it_says_what_to_run(kind: Kind, store: "Store") -> None:
    store.execute("DROP SCHEMA jobq CASCADE")

    async def act(on: On) -> None:
        for attempt in (on.enqueue(Deliver()), on.enqueue_many(many(3))):
            with pytest.raises(SchemaMissing, match=r"schema 'jobq' \(.*\). Run: jobq migrate") as caught:
                await attempt
            assert caught.value.__cause__ is not None
            await on.rollback()
            await on.execute("SELECT 1")

    kind.run(act)


def test_what_the_role_may_not_do_and_a_session_that_only_reads_are_explained(kind: Kind, store: "Store") -> None:
    role = f"web_{store.rows('SELECT current_database() AS name')[0].name}"
    store.execute(f"CREATE ROLE {role}")
    store.execute(f"GRANT USAGE ON SCHEMA jobq TO {role}")

    async def act(on: On) -> None:
        await on.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(DatabaseForbidden, match="jobq migrate --grants"):
            await on.enqueue(Deliver())
        await on.rollback()
        await on.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(DatabaseReadOnly):
            await on.enqueue(Deliver())
        await on.rollback()

    try:
        kind.run(act)
    finally:
        store.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def state_of(error: BaseException) -> str:
    """The SQLSTATE, as one looks for it in an error of a driver or in what a framework made of it."""
    driver = getattr(error, "orig", None) or error
    if isinstance(error, django.db.Error):
        assert error.__cause__ is not None
        driver = error.__cause__
    if driver.args and isinstance(driver.args[0], dict):
        return str(driver.args[0]["C"])
    return str(getattr(driver, "sqlstate", None) or driver.pgcode)


def error_of(kind: Kind, connection: Any) -> tuple[type[BaseException], ...]:
    """The base of what this kind of connection raises."""
    package = type(connection).__module__.partition(".")[0]
    return {
        "psycopg": (psycopg.Error,),
        "psycopg2": (psycopg2.Error,),
        "asyncpg": (asyncpg.PostgresError,),
        "django": (django.db.Error,),
    }.get(package, (sa.exc.DBAPIError,))


def test_a_transaction_of_the_callers_that_had_failed_before_raises_its_own_error(kind: Kind, store: "Store") -> None:
    async def act(on: On) -> None:
        own = error_of(kind, on.caller.connection)
        with pytest.raises(own):
            await on.execute("SELECT 1/0")
        for attempt in (on.enqueue(Deliver()), on.enqueue_many(many(250))):
            with pytest.raises(own) as caught:
                await attempt
            assert state_of(caught.value) == "25P02"
        await on.rollback()

    kind.run(act)
    assert orders(store) == []


@pytest.mark.parametrize("count", [1, 250])
def test_a_serialization_failure_reaches_the_callers_retry(kind: Kind, store: "Store", count: int) -> None:
    store.execute("CREATE TABLE stock (left_over int); INSERT INTO stock VALUES (5)")
    store.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$;"
        "CREATE TRIGGER fail BEFORE INSERT ON jobq.jobs EXECUTE FUNCTION fail()"
    )

    async def act(on: On) -> None:
        with pytest.raises(error_of(kind, on.caller.connection)) as caught:
            await (on.enqueue(Deliver(1, NOTE)) if count == 1 else on.enqueue_many(many(count)))
        assert state_of(caught.value) == "40001"
        assert "100%" not in str(caught.value)  # SQLAlchemy shows parameters
        await on.rollback()

    kind.run(act)


def test_in_autocommit_a_job_is_there_at_once_and_of_many_all_or_none(kind: Kind, store: "Store") -> None:
    store.execute("ALTER TABLE jobq.jobs ADD CHECK (arguments ->> 'order' <> '4999')")

    async def act(on: On) -> None:
        await on.enqueue(Deliver(1))
        assert orders(store) == [1]
        with pytest.raises(error_of(kind, on.caller.connection)) as caught:
            await on.enqueue_many(many(5000))
        assert state_of(caught.value) == "23514"
        assert orders(store) == [1]
        await on.enqueue_many(many(3))
        assert orders(store) == [0, 1, 1, 2]

    kind.run(act, autocommit=True)


def test_what_waits_for_a_commit_is_called_then_and_not_after_a_rollback(kind: Kind, database: Database) -> None:
    """Drivers and Django without autocommit do not tell: there it is called at once."""
    called: list[str] = []

    async def act(on: On) -> None:
        is_told = type(on.caller.connection).__module__.startswith(("sqlalchemy", "flask"))
        await on.execute("SELECT 1")
        await on.when_committed(lambda: called.append("rolled back"))
        await on.rollback()
        assert called == ([] if is_told else ["rolled back"])
        called.clear()
        await on.execute("SELECT 1")
        await on.when_committed(lambda: called.append("committed"))
        assert called == ([] if is_told else ["committed"])
        await on.commit()
        assert called == ["committed"]

    kind.run(act)


def test_in_autocommit_nothing_waits_for_a_commit(kind: Kind, database: Database) -> None:
    called: list[str] = []

    async def act(on: On) -> None:
        await on.when_committed(lambda: called.append("at once"))
        assert called == ["at once"]

    kind.run(act, autocommit=True)


def test_a_schema_of_any_name_is_found_by_every_driver(database: Database, database_url: str) -> None:
    schema = "it's :name %(name)s 100% \\: $1"
    with used(replace(database.settings, schema=schema)) as odd:
        migrations.migrate(odd)
        for name in NAMES:
            kind_named(name, database_url).run(enqueue_and_commit)
        with odd.connection() as connection:
            table = sql.Identifier(schema, "jobs")
            found = connection.execute(sql.SQL("SELECT arguments FROM {}").format(table)).fetchall()
    assert found == [({"order": 1, "note": NOTE},)] * len(NAMES)


async def enqueue_and_commit(on: On) -> None:
    await on.enqueue(Deliver(1, NOTE))
    await on.commit()


# SQLAlchemy


@pytest.fixture
def address(database: Database, database_url: str) -> Address:
    return Address(database_url)


@pytest.fixture(params=["psycopg", "psycopg2", "pg8000"])
def engine(request: pytest.FixtureRequest, address: Address) -> Iterator[sa.Engine]:
    engine = address.engine(request.param)
    yield engine
    engine.dispose()


def test_a_savepoint_that_is_rolled_back_takes_its_jobs_and_what_waits_for_them_along(
    engine: sa.Engine, store: "Store"
) -> None:
    called: list[int] = []

    def enqueue(order: int) -> None:
        Deliver(order).run_in_worker(connection=session)
        callers.when_committed(session, lambda: called.append(order))

    with Session(engine) as session:
        with session.begin_nested() as first:
            enqueue(1)  # the first that is known of: its savepoint was set before
            first.rollback()
        enqueue(2)
        with session.begin_nested():
            enqueue(3)
            with session.begin_nested() as inner:
                enqueue(4)
                inner.rollback()
        with session.begin_nested() as last:
            enqueue(5)
            last.rollback()
        session.commit()
    assert orders(store) == called == [2, 3]


def test_a_connection_that_streams_what_it_reads_takes_jobs(engine: sa.Engine, store: "Store") -> None:
    with engine.connect().execution_options(yield_per=10) as connection:
        Deliver(1).run_in_worker(connection=connection)
        enqueue_many(many(150), connection=connection)
        connection.commit()
    assert len(orders(store)) == 151


def test_sqlalchemys_own_log_and_events_see_what_jobq_executes(engine: sa.Engine, database: Database) -> None:
    seen: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    with engine.begin() as connection:
        Deliver(1).run_in_worker(connection=connection)
    assert any("INSERT INTO" in statement for statement in seen)


@pytest.mark.parametrize("engine", ["psycopg", "psycopg2"], indirect=True)  # pg8000 leaves the socket open
def test_a_connection_that_broke_is_replaced_by_sqlalchemys_pool(engine: sa.Engine, store: "Store") -> None:
    with engine.connect() as connection:
        (pid,) = connection.execute(sa.text("SELECT pg_backend_pid()")).one()
        store.execute("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(sa.exc.DBAPIError) as caught:
            Deliver(1).run_in_worker(connection=connection)
        assert caught.value.connection_invalidated
    with engine.begin() as connection:
        Deliver(2).run_in_worker(connection=connection)
    assert orders(store) == [2]


def test_a_function_that_an_async_session_runs_takes_its_session(address: Address, store: "Store") -> None:
    def place(session: Session) -> None:
        Deliver(1).run_in_worker(connection=session)
        enqueue_many(many(150), connection=session)

    async def main() -> None:
        engine = address.async_engine("asyncpg")
        async with AsyncSession(engine) as session:
            await session.run_sync(place)
            await session.commit()
        await engine.dispose()

    asyncio.run(main())
    assert len(orders(store)) == 151


# Drivers


@pytest.mark.parametrize("autocommit", [True, False])
def test_in_a_pipeline_of_psycopgs_many_jobs_go_without_copy(
    address: Address, store: "Store", autocommit: bool
) -> None:
    with psycopg.connect(address.url, autocommit=autocommit) as connection:
        with connection.pipeline():
            connection.execute("SELECT 1")
            Deliver(1).run_in_worker(connection=connection)
            enqueue_many(many(150), connection=connection)
        connection.commit()
    assert len(orders(store)) == 151


def test_an_error_of_the_callers_own_in_a_pipeline_stays_as_it_is(address: Address) -> None:
    with closing(psycopg.connect(address.url)) as connection, suppress(psycopg.Error), connection.pipeline():
        connection.execute("SELECT * FROM of_the_callers")
        with pytest.raises(psycopg.errors.UndefinedTable, match="of_the_callers"):
            Deliver(2).run_in_worker(connection=connection)


def test_in_an_async_pipeline_too(address: Address, store: "Store") -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(address.url) as connection, connection.pipeline():
            await connection.execute("SELECT 1")
            await Deliver(1).run_in_worker_async(connection=connection)
            await enqueue_many_async(many(150), connection=connection)

    asyncio.run(main())
    assert len(orders(store)) == 151


@pytest.mark.parametrize("connect", [psycopg.connect, psycopg2.connect])
def test_a_transaction_that_the_caller_began_by_hand_in_autocommit_is_the_callers(
    connect: Any, address: Address, store: "Store"
) -> None:
    with closing(connect(address.url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("BEGIN")
        enqueue_many(many(3), connection=connection)
        assert orders(store) == []
        connection.cursor().execute("ROLLBACK")
        enqueue_many(many(2), connection=connection)
    assert orders(store) == [0, 1]


def test_codecs_that_are_set_on_an_asyncpg_connection_change_nothing(address: Address, store: "Store") -> None:
    async def main() -> list[Any]:
        connection = await address.asyncpg()
        for name in ("json", "jsonb"):
            await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.set_type_codec(
            "timestamptz", encoder=lambda time: f"{time:never}", decoder=lambda _: "never", schema="pg_catalog"
        )
        delayed = await Deliver(0, NOTE).run_in_worker_async(
            connection=connection, delay=datetime(2100, 1, 1, tzinfo=UTC)
        )
        records = await enqueue_many_async(many(3), connection=connection)
        await connection.close()
        return [delayed, *records]

    records = asyncio.run(main())
    jobs = store.unfinished()
    assert [(record.id, record.enqueued_at, record.run_at) for record in records] == [
        (job.id, job.enqueued_at, job.run_at) for job in jobs
    ]
    assert jobs[0].arguments == {"order": 0, "note": NOTE}


def test_loaders_and_casters_of_the_callers_change_nothing(address: Address, store: "Store") -> None:
    class Never(psycopg.adapt.Loader):
        def load(self, data: Any) -> str:
            return "never"

    with closing(psycopg.connect(address.url)) as connection:
        connection.adapters.register_loader("timestamptz", Never)
        record = Deliver(1).run_in_worker(connection=connection)
        connection.commit()
    with closing(psycopg2.connect(address.url)) as connection:
        never = psycopg2.extensions.new_type((1184,), "NEVER", lambda *_: "never")
        psycopg2.extensions.register_type(never, connection)
        other = Deliver(2).run_in_worker(connection=connection)
        connection.commit()
    assert record is not None
    assert other is not None
    assert [record.run_at, other.run_at] == [job.run_at for job in store.unfinished()]


@pytest.mark.parametrize("connect", [psycopg.connect, psycopg2.connect])
def test_a_closed_connection_raises_the_drivers_own_error(connect: Any, address: Address) -> None:
    connection = connect(address.url)
    connection.close()
    with pytest.raises((psycopg.OperationalError, psycopg2.InterfaceError), match="closed"):
        Deliver(1).run_in_worker(connection=connection)


# What is refused


def refused(given: Any) -> str:
    with pytest.raises(EnqueueError) as caught:
        Deliver().run_in_worker(connection=given)
    with pytest.raises(EnqueueError):
        enqueue_many(many(2), connection=given)
    return str(caught.value)


async def refused_async(given: Any) -> str:
    with pytest.raises(EnqueueError) as caught:
        await Deliver().run_in_worker_async(connection=given)
    with pytest.raises(EnqueueError):
        await enqueue_many_async(many(2), connection=given)
    return str(caught.value)


def test_what_lends_out_connections_is_refused_with_the_way_to_one(address: Address) -> None:
    from django.db import connections
    from psycopg_pool import ConnectionPool

    engine = address.engine("psycopg2")
    assert "with engine.begin() as connection" in refused(engine)
    assert "with Session.begin() as session" in refused(sessionmaker(engine))
    assert 'connections["default"]' in refused(connections)
    with ConnectionPool(address.url, open=False) as pool:
        assert "with pool.connection() as connection" in refused(pool)
    engine.dispose()

    async def main() -> None:
        engine = address.async_engine("asyncpg")
        assert "async with engine.begin() as connection" in await refused_async(engine)
        assert "async with Session.begin() as session" in await refused_async(async_sessionmaker(engine))
        async with asyncpg.create_pool(**address.for_asyncpg(), min_size=0) as pool:
            assert "async with pool.acquire() as connection" in await refused_async(pool)
        await engine.dispose()

    asyncio.run(main())


def test_what_is_no_connection_is_refused_with_what_is_one(address: Address) -> None:
    assert refused("postgresql://ada:secret@db") == (
        "connection is a str, which is not a connection to PostgreSQL. It must be a Connection or Session of "
        "SQLAlchemy (with any driver for PostgreSQL), Django's connection, or a connection of psycopg or psycopg2."
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        assert "connection is a sqlite3.Connection, which is not a connection to PostgreSQL" in refused(connection)
    assert asyncio.run(refused_async(7.5)) == (
        "connection is a float, which is not a connection to PostgreSQL. It must be an AsyncConnection or AsyncSession "
        "of SQLAlchemy (with any driver for PostgreSQL), Django's connection, psycopg's AsyncConnection, or a "
        "connection of asyncpg."
    )


@pytest.mark.parametrize("kind", [name for name in NAMES if name.startswith("async ")], indirect=True)
def test_a_connection_of_an_event_loop_is_refused_by_what_does_not_wait(kind: Kind) -> None:
    async def act(on: On) -> None:
        assert "await job.run_in_worker_async(connection=…) instead" in refused(on.caller.connection)

    kind.run(act)


@pytest.mark.parametrize("name", [name for name in SYNC if name != "Django"])
def test_a_connection_that_would_hold_up_the_event_loop_is_refused(name: str, address: Address) -> None:
    async def main() -> None:
        with SYNC[name](address) as caller:
            refusal = await refused_async(caller.connection)
            assert "which would hold up the event loop. Use an AsyncConnection or AsyncSession" in refusal

    asyncio.run(main())


def test_an_async_connection_of_psycopg2_is_refused(address: Address) -> None:
    with closing(psycopg2.connect(address.url, async_=1)) as connection:
        assert "async one of psycopg2" in refused(connection)


def test_another_database_than_postgresql_is_refused_by_its_name(database: Database) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        assert "connection is SQLAlchemy's to sqlite, and jobq's jobs are in PostgreSQL" in refused(connection)
    engine.dispose()
    connection = SqliteWrapper({**django_settings_of(":memory:"), "ENGINE": "django.db.backends.sqlite3"})
    assert "connection is Django's to SQLite, and jobq's jobs are in PostgreSQL" in refused(connection)
    connection.close()


def test_a_library_is_not_imported_for_a_caller_who_does_not_use_it(
    application: "Application", database_url: str
) -> None:
    application.write(
        "shop.py",
        """
        import sys
        import psycopg
        from jobq import Job, register_job

        @register_job
        class Pay(Job):
            def run(self): pass

        with psycopg.connect(sys.argv[1]) as connection:
            Pay().run_in_worker(connection=connection)
        print(sorted({"sqlalchemy", "django", "asgiref", "asyncpg", "psycopg2", "pg8000"} & set(sys.modules)))
        """,
    )
    assert application.python("shop.py", database_url).stdout == "[]\n"
