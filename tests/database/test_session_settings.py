"""What a role, a database or a server is set to: jobq works all the same, or says which setting is in the way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from test_roles import granted

from conftest import Store, new_job, report_on, wait_until
from jobq import filters, observe, operate
from jobq.errors import DatabaseBusy, DatabaseError, DatabaseForbidden
from jobq.observe.reading import reading
from jobq.settings import Settings
from jobq.store import enqueueing
from jobq.store.database import Connection, Database, is_transient
from jobq.store.rights import READER
from jobq.testing import used

SETTINGS = {
    "forms": [
        "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'", "timezone = 'Pacific/Chatham'", "array_nulls = off",
        "bytea_output = 'escape'", "standard_conforming_strings = off", "extra_float_digits = -10",
        "transform_null_equals = on", "client_encoding = 'LATIN1'",
    ],
    "isolation": ["default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on"],
    "search path": ["search_path = mine, pg_catalog"],
    "limits": ["statement_timeout = '5s'", "lock_timeout = '5s'", "idle_in_transaction_session_timeout = '5s'"],
}  # fmt: skip

MINE = """
    CREATE SCHEMA mine;
    CREATE TABLE mine.jobs (); CREATE TABLE mine.pg_class ();
    CREATE FUNCTION mine.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
    CREATE FUNCTION mine.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''mine''; END';
    CREATE FUNCTION mine.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR mine.= (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.never)
"""


def set_for_all(connection: "psycopg.Connection[Any]", settings: Sequence[str]) -> None:
    """For every session of this database that begins from now on."""
    for setting in settings:
        connection.execute(
            f"DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET ', current_database()) || $set${setting}$set$; "
            "END $do$".encode()
        )


@pytest.mark.parametrize("chosen", SETTINGS.values(), ids=list(SETTINGS))
def test_a_job_goes_its_whole_way_whatever_the_role_is_set_to(
    chosen: list[str], settings: Settings, connection: "psycopg.Connection[Any]"
) -> None:
    connection.execute(MINE.encode())
    set_for_all(connection, chosen)
    with used(settings) as database, Store.on(settings) as store:
        with database.connection() as pooled:
            job = new_job(unique_key="k", arguments='{"é": "€\\\\"}', expires_in=3600.0)
            added = enqueueing.enqueue(pooled, "jobq", job)
            many = enqueueing.enqueue_many(pooled, "jobq", [new_job(delay=0.01), *[new_job()] * 200])
        assert added is not None
        assert added.expires_at == added.enqueued_at + timedelta(hours=1)
        dead, worker = store.worker(host="dead"), store.worker()
        wait_until(lambda: store.promote().next_due_seconds is None)

        (lost,) = store.claim(dead, most=1)
        store.declare_dead(dead)
        assert [rescued.id for rescued in store.rescue()] == [lost.id] == [added.id]
        first, second, *others = store.claim(worker, most=300)
        assert len(others) == len(many) - 1
        assert store.finish(worker, report_on(first, value='"€"'), *map(report_on, others)) == len(many)
        assert store.retry(worker, report_on(second, "errored", error_message="bäd", retry_delay=0.0)) == 1

        found = filters.parse("outcome:successful since:1h ran:<1h wait:>0s queue:def*")
        page = observe.list_jobs(database, found, limit=1000)
        assert len(page.jobs) == len(many)
        assert abs(datetime.now(UTC) - page.jobs[0].enqueued_at) < timedelta(minutes=5)
        assert operate.cancel(database, [second.id]).done == [second.id]
        assert operate.undo(database)[1].done == [second.id]
        assert operate.retry(database, [first.id]).done == [first.id]
        assert {job.id for job in store.claim(worker)} == {first.id, second.id}
        assert observe.stats(database).running == 2


def test_a_form_of_dates_that_cannot_be_read_is_no_obstacle_behind_a_pooler(
    settings: Settings, connection: "psycopg.Connection[Any]"
) -> None:
    set_for_all(connection, ["datestyle = 'German'"])
    with Database(replace(settings, transaction_pooler=True)).connect("test") as own:
        ((now,),) = own.execute("SELECT now()").fetchall()
    assert isinstance(now, datetime)


@pytest.mark.parametrize("has_pooler", [False, True])
def test_nothing_is_compiled_for_a_look(
    settings: Settings, connection: "psycopg.Connection[Any]", *, has_pooler: bool
) -> None:
    """Of a look at a long queue it took the larger part."""
    set_for_all(connection, ["jit = on"])
    with (
        used(replace(settings, transaction_pooler=has_pooler)) as database,
        reading(database) as looking,
    ):
        assert looking.execute("SHOW jit").fetchone() == ("off",)


def test_a_caller_may_have_set_its_own_session_to_anything(database_url: str, store: Store) -> None:
    with psycopg.connect(database_url, autocommit=True) as own:
        own.execute("SET datestyle = 'German, DMY'; SET timezone = 'Asia/Kathmandu'; SET intervalstyle = 'iso_8601'")
        added = enqueueing.enqueue(own, "jobq", new_job(delay=60))
        many = enqueueing.enqueue_many(own, "jobq", [new_job(delay=60)] * 200)
    assert added is not None
    for one in (added, *many):
        assert one is not None
        assert one.run_at == one.enqueued_at + timedelta(minutes=1) == store.job(one.id).run_at


@pytest.mark.parametrize("setting", ["statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_limit_of_time_that_is_too_short_is_named(
    setting: str, settings: Settings, connection: "psycopg.Connection[Any]"
) -> None:
    if setting == "transaction_timeout" and connection.info.server_version < 170000:
        pytest.skip("PostgreSQL has it since 17")
    set_for_all(connection, [f"{setting} = '50ms'"])
    database = Database(settings)

    def outlasts(own: Connection) -> None:
        with own.transaction():
            if setting.startswith("idle"):
                wait_until(lambda: ended(connection, own.info.backend_pid))
            own.execute("SELECT pg_sleep(30)")

    with pytest.raises(psycopg.Error) as told, database.connect("worker") as own:
        outlasts(own)
    assert is_transient(told.value)
    with pytest.raises(DatabaseBusy, match=f"ALTER ROLE … SET {setting}"), database.connection() as pooled:
        outlasts(pooled)
    database.close()


def ended(connection: "psycopg.Connection[Any]", pid: int) -> bool:
    return connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None


def test_a_character_that_the_database_cannot_store_is_told(settings: Settings) -> None:
    database = Database(settings)
    with pytest.raises(DatabaseError, match=r"cannot store every .*LATIN1.* UTF8"), database.connection() as own:
        own.execute(r"SELECT convert('\xe282ac'::bytea, 'UTF8', 'LATIN1')")
    database.close()


def test_rows_that_a_policy_hides_are_no_empty_queue(database: Database, store: Store) -> None:
    store.execute("ALTER TABLE jobq.jobs ENABLE ROW LEVEL SECURITY")
    store.add()

    with granted(READER, store) as hidden_from, pytest.raises(DatabaseForbidden, match="row-level security policy"):
        observe.list_jobs(hidden_from, filters.parse(""))
    assert len(observe.list_jobs(database, filters.parse("")).jobs) == 1, "the owner's own policies do not bind it"
