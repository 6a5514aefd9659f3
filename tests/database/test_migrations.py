"""Migrations: applied once, wherever from, into a schema of whatever name; and what is said where they are not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from typing import Any

import psycopg
import pytest

from jobq.errors import DatabaseBusy, DatabaseForbidden, SchemaAhead, SchemaBehind, SchemaForeign, SchemaMissing
from jobq.records import NewJob, Report
from jobq.settings import Settings
from jobq.store import acts, enqueueing, history, jobs, migrations, workers
from jobq.store.claiming import QueuePosition
from jobq.store.database import Database
from releases import released_migrations

ODD_NAMES = [
    'a "quoted" one',
    "100%s",
    "%(id)s",
    "{schema}",
    "with space",
    "UPPER",
    "ünï-cödé",
    "a;b--c",
    "x" * 63,
    "it's",
    "a.b",
]


@pytest.fixture
def empty(settings: Settings, connection: psycopg.Connection[Any]) -> Database:
    """A database without jobq's tables."""
    connection.execute("DROP SCHEMA jobq CASCADE")
    return Database(settings)


def columns(connection: psycopg.Connection[Any], schema: str) -> list[Any]:
    return connection.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = %s ORDER BY 1, 2",
        [schema],
    ).fetchall()


def test_a_second_migration_finds_nothing_to_do(empty: Database) -> None:
    assert migrations.migrate(empty) == migrations.known("jobq")
    assert migrations.migrate(empty) == []


def test_of_ten_that_migrate_at_once_one_applies(empty: Database, connection: psycopg.Connection[Any]) -> None:
    start = threading.Barrier(10)

    def migrate(_: int) -> list[migrations.Migration]:
        start.wait(30)
        return migrations.migrate(empty)

    with ThreadPoolExecutor(10) as threads:
        applied = [migration for done in threads.map(migrate, range(10)) for migration in done]
    assert sorted(applied, key=lambda migration: migration.version) == migrations.known("jobq")
    recorded = connection.execute("SELECT version, name FROM jobq.migrations ORDER BY version").fetchall()
    assert recorded == [(migration.version, migration.name) for migration in migrations.known("jobq")]


def test_the_plan_says_what_would_be_applied_and_applies_nothing(
    empty: Database, connection: psycopg.Connection[Any]
) -> None:
    assert migrations.plan(empty) == migrations.known("jobq")
    assert columns(connection, "jobq") == []
    migrations.migrate(empty)
    assert migrations.plan(empty) == []


GRANTED = """
    SELECT relname::text AS name, privilege_type FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) AS held
    WHERE relnamespace = 'jobq'::regnamespace AND grantee = 'pg_monitor'::regrole
    UNION ALL
    SELECT proname::text || '()', privilege_type FROM pg_proc CROSS JOIN LATERAL aclexplode(proacl) AS held
    WHERE pronamespace = 'jobq'::regnamespace AND grantee = 'pg_monitor'::regrole
"""

VIEWS = """
    SELECT relname, array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'v' AND attnum > 0
    GROUP BY relname
"""


def test_later_migrations_only_append_to_views_and_keep_the_rights_that_were_granted(
    empty: Database, connection: psycopg.Connection[Any]
) -> None:
    """Programs and roles of the release before go on while a deploy has migrated already."""
    granted: set[Any] = set()
    views: dict[str, list[str]] = {}
    for migration in migrations.known("jobq"):
        assert migrations.apply(connection, "jobq", migration)
        lost = granted - set(connection.execute(GRANTED).fetchall())
        assert not lost, f"{migration.name} takes rights away: change in place, or grant anew"
        now = dict(connection.execute(VIEWS).fetchall())
        for view, before in views.items():
            assert now.get(view, [])[: len(before)] == before, f"{migration.name} changes the columns of {view}"
        views = now
        for kind, right in (("TABLES", "SELECT, UPDATE"), ("SEQUENCES", "USAGE"), ("FUNCTIONS", "EXECUTE")):
            connection.execute(f"GRANT {right} ON ALL {kind} IN SCHEMA jobq TO pg_monitor".encode())
        granted = set(connection.execute(GRANTED).fetchall())
    assert views
    assert granted


def test_no_two_migrations_have_the_same_number() -> None:
    versions = [migration.version for migration in migrations.known("s")]
    assert versions == sorted(set(versions))


def test_a_migration_that_fails_leaves_nothing_behind(
    empty: Database, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, *_ = migrations.known("jobq")
    bad = replace(good, text=good.text + "; SELECT 1 / 0")
    monkeypatch.setattr(migrations, "known", lambda schema: [bad])
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.migrate(empty)
    assert columns(connection, "jobq") == []


@pytest.mark.parametrize("schema", ODD_NAMES)
def test_a_schema_may_have_any_name(schema: str, settings: Settings, connection: psycopg.Connection[Any]) -> None:
    """The whole way of a job, in a schema of that name beside the usual one."""
    database = Database(replace(settings, schema=schema))
    migrations.migrate(database)
    migrations.require_current(database)
    assert columns(connection, schema) == columns(connection, "jobq")

    added = enqueueing.enqueue(connection, schema, NewJob("shop.jobs.Work", "{}", unique_key="k"))
    assert added is not None
    assert enqueueing.enqueue_many(connection, schema, [NewJob("shop.jobs.Work", "{}", unique_key="k")]) == [None]
    worker = workers.register(connection, schema, host="here", pid=1, version="1", processes=1, queues=[], classes=[])
    assert jobs.promote(connection, schema, worker_id=worker).others == ("default",)
    (assignment,) = jobs.claim(
        connection,
        schema,
        worker_id=worker,
        positions=[QueuePosition("default")],
        classes=["shop.jobs.Work"],
        most=1,
    )
    report = Report(assignment.id, assignment.attempt, "errored", 1.0, 2.0, retry_delay=0.0)
    assert jobs.give_back(connection, schema, worker_id=worker, assignments=[assignment]) == ["default"]
    jobs.claim(
        connection,
        schema,
        worker_id=worker,
        positions=[QueuePosition("default")],
        classes=["shop.jobs.Work"],
        most=1,
    )
    assert jobs.retry(connection, schema, worker_id=worker, reports=[report], now=3.0).attempts == 1
    assert jobs.promote(connection, schema, worker_id=worker).promoted == 0
    assert jobs.unknown_classes(connection, schema) == [("shop.jobs.Work", 1, ["default"], [1])]
    assert acts.cancel(connection, schema, [assignment.id], cancelled_by="100%s") == [assignment.id]
    assert acts.retry_by_hand(connection, schema, [assignment.id]) == [assignment.id]
    workers.stop(connection, schema, worker_id=worker)
    assert workers.rescue(connection, schema, max_losses=3) == []
    assert history.make_partitions(connection, schema) == []
    assert history.drop_old_partitions(connection, schema, keep_days=1) == []
    history.forget_workers(connection, schema, keep_days=1)
    assert connection.execute("SELECT count(*) FROM jobq.jobs").fetchone() == (0,)


def test_a_schema_that_somebody_made_for_jobq_is_used(empty: Database, connection: psycopg.Connection[Any]) -> None:
    """A role that owns its schema needs no right to create schemas in the database."""
    role = f"owner_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role} LOGIN")
    connection.execute(f"CREATE SCHEMA jobq AUTHORIZATION {role}")
    url = psycopg.conninfo.make_conninfo(empty.settings.database_url or "", user=role)
    try:
        assert migrations.migrate(Database(replace(empty.settings, database_url=url)))
    finally:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


def test_a_role_that_may_not_create_a_schema_is_told_so(empty: Database, connection: psycopg.Connection[Any]) -> None:
    role = f"guest_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role} LOGIN")
    url = psycopg.conninfo.make_conninfo(empty.settings.database_url or "", user=role)
    try:
        with pytest.raises(DatabaseForbidden, match="permission denied"):
            migrations.migrate(Database(replace(empty.settings, database_url=url)))
    finally:
        connection.execute(f"DROP ROLE {role}")


def test_a_database_without_the_tables_says_what_to_run(empty: Database) -> None:
    with pytest.raises(SchemaMissing, match="Run: jobq migrate"):
        migrations.require_current(empty)


def test_a_schema_that_is_behind_says_what_to_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = [*migrations.known("jobq"), migrations.Migration(9999, "9999_more", "SELECT 1")]
    monkeypatch.setattr(migrations, "known", lambda schema: newer)
    with pytest.raises(SchemaBehind, match=r"9999.*Run: jobq migrate"):
        migrations.require_current(Database(settings))


def add_later_migration(connection: psycopg.Connection[Any], *, min_version: int) -> None:
    """As a later release does with its migrations."""
    connection.execute("INSERT INTO jobq.migrations VALUES (9999, '9999_later', now(), %s)", [min_version])


def test_a_release_works_with_the_schema_of_the_next_one(
    settings: Settings, connection: psycopg.Connection[Any]
) -> None:
    own = migrations.known("jobq")[-1].version
    add_later_migration(connection, min_version=own)
    found = migrations.require_current(Database(settings))
    assert (found.version, found.own_version, found.min_version) == (9999, own, own)
    assert migrations.migrate(Database(settings)) == []


def test_a_release_that_is_too_old_for_a_schema_is_told_to_upgrade(
    settings: Settings, connection: psycopg.Connection[Any]
) -> None:
    own = migrations.known("jobq")[-1].version
    add_later_migration(connection, min_version=own + 1)
    for use in (migrations.require_current, migrations.migrate):
        with pytest.raises(SchemaAhead, match=rf"9999.* from version {own + 1} on.*at version {own}\. Upgrade"):
            use(Database(settings))


def test_a_schema_asks_for_the_newest_release_that_any_of_its_migrations_asks_for(
    empty: Database, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = migrations.known("jobq")
    more = [
        migrations.Migration(9001, "9001_breaks", "-- min_version: 9001\nSELECT 1"),
        migrations.Migration(9002, "9002_breaks_nothing", "-- min_version: 1\nSELECT 1"),
    ]
    migrations.migrate(empty)
    monkeypatch.setattr(migrations, "known", lambda schema: [*own, *more])
    assert migrations.look(empty).min_version_after == 9001
    migrations.migrate(empty)
    assert migrations.look(empty).min_version == 9001
    monkeypatch.setattr(migrations, "known", lambda schema: own)
    with pytest.raises(SchemaAhead, match="from version 9001 on"):
        migrations.require_current(empty)


def test_every_migration_says_which_releases_work_after_it() -> None:
    """Whoever adds one decides: the newest migration that a release must know, in a line `-- min_version: N`.

    It may not ask for more than the last release knows: that one goes on, and can come back. What breaks it is left to
    the release after, when nobody runs it any more.
    """
    released = max((int(name[:4]) for name in released_migrations()), default=None)
    for migration in migrations.known("jobq"):
        assert migration.min_version <= migration.version
        if released is not None and migration.version > released:
            assert migration.min_version <= released, f"{migration.name} breaks the last release"


def test_a_migration_that_was_released_is_not_changed() -> None:
    """Databases have it: what it says cannot be changed any more."""
    texts = {
        file.name: file.read_bytes() for file in resources.files("jobq.sql.migrations").iterdir() if file.is_file()
    }
    assert released_migrations().items() <= texts.items()


# Made by another jobq

BEFORE_THE_FIRST_RELEASE = """
    CREATE SCHEMA jobq;
    CREATE TABLE jobq.migrations (
        version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
    INSERT INTO jobq.migrations VALUES (1, '0001_initial');
"""
TO_ITS_LAST_VERSION = """
    ALTER TABLE jobq.migrations ADD COLUMN min_version integer NOT NULL DEFAULT 0;
    INSERT INTO jobq.migrations VALUES (20, '0020_room_for_claims', now(), 19);
"""


@pytest.mark.parametrize("later", ["", TO_ITS_LAST_VERSION], ids=["its first migration", "all of its migrations"])
def test_a_schema_from_before_the_first_release_is_refused_with_what_to_do(
    empty: Database, connection: psycopg.Connection[Any], later: str
) -> None:
    connection.execute(BEFORE_THE_FIRST_RELEASE + later)
    rename = 'ALTER SCHEMA "jobq" RENAME TO before_jobq_1'
    refused = rf"from before the first release.*{rename}.*, and run: jobq migrate"
    for use in (migrations.migrate, migrations.plan, migrations.require_current):
        with pytest.raises(SchemaForeign, match=refused):
            use(empty)
    with pytest.raises(SchemaForeign, match=refused), empty.connection():
        pass
    assert {table for table, *_ in columns(connection, "jobq")} == {"migrations"}
    connection.execute(rename)
    assert migrations.migrate(empty) == migrations.known("jobq")
    empty.close()


def test_a_migration_lets_others_pass_while_it_waits_for_a_long_transaction(
    settings: Settings, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever queues for an exclusive lock makes all others queue behind: it must not do so for long."""
    database = Database(settings)
    more = migrations.Migration(9001, "9001_more", "-- min_version: 1\nALTER TABLE jobq.jobs ADD COLUMN more text")
    own = migrations.known("jobq")
    monkeypatch.setattr(migrations, "known", lambda schema: [*own, more])
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(migrations, "TRIES", 3)
    assert database.settings.database_url is not None
    with psycopg.connect(database.settings.database_url, application_name="a report") as reader:
        reader.execute("SELECT count(*) FROM jobq.jobs")
        with pytest.raises(DatabaseBusy, match=rf"{reader.info.backend_pid} of the server \(a report, idle in trans"):
            migrations.migrate(database)

        monkeypatch.setattr(migrations, "TRIES", 10_000)
        with ThreadPoolExecutor(1) as threads:
            migrating = threads.submit(migrations.migrate, database)
            connection.execute("SET lock_timeout = '30s'")
            for _ in range(50):  # each waits for one try at the most
                connection.execute("INSERT INTO jobq.jobs (job_class) VALUES ('shop.jobs.Work')")
            assert not migrating.done()
            reader.commit()
            assert migrating.result(30)
    migrations.require_current(database)


def test_every_table_and_column_is_commented(connection: psycopg.Connection[Any], settings: Settings) -> None:
    bare = connection.execute(
        "SELECT c.relname, a.attname FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = 'jobq'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)"
    ).fetchall()
    assert bare == []


def test_every_view_function_and_domain_is_commented(connection: psycopg.Connection[Any]) -> None:
    bare = connection.execute(
        "SELECT oid::regclass::text FROM pg_class "
        "WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'v' AND obj_description(oid, 'pg_class') IS NULL "
        "UNION ALL SELECT proname FROM pg_proc "
        "WHERE pronamespace = 'jobq'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL "
        "UNION ALL SELECT typname FROM pg_type "
        "WHERE typnamespace = 'jobq'::regnamespace AND typtype = 'd' AND obj_description(oid, 'pg_type') IS NULL"
    ).fetchall()
    assert bare == []


def test_a_rule_of_a_job_is_no_check_of_its_table(connection: psycopg.Connection[Any]) -> None:
    """Each takes up to 11 microseconds of an enqueue; as a domain a tenth of that, and a claim does not evaluate it."""
    checks = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'jobq.jobs'::regclass AND contype = 'c'"
    ).fetchall()
    assert checks == [("jobs_have_a_positive_id_and_run_somewhere_since_some_time",)]
