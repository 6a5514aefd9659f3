"""Names in SQL: whatever characters a schema's name has, PostgreSQL reads that name, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import errors as pg

from conftest import Store, report_on
from jobq import filters, observe
from jobq.errors import ConfigurationError
from jobq.settings import Settings, is_identifier, load
from jobq.store import migrations, workers
from jobq.store.database import Database
from jobq.store.statements import channel, migration_texts, quote_identifier, statement

if TYPE_CHECKING:
    from pathlib import Path

PIECES = ['"', "'", "%", "%s", "%(id)s", "%%", ";", "--", "/*", "$$", "$1", "\\", "{schema}", "{", "\n", ".", " ", ":"]

names = st.one_of(
    st.lists(st.sampled_from([*PIECES, "a", "B", "é", "🙂"]), min_size=1, max_size=12).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=70),
    st.integers(1, 200).map("é".__mul__),
)
schemas = names.filter(lambda name: is_identifier(name) and not name.startswith("pg_"))

in_one_database = hypothesis_settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@in_one_database
@given(name=names)
@example(name='"; DROP SCHEMA jobq CASCADE; --')
@example(name='"')
def test_a_quoted_name_is_read_as_that_name(name: str, connection: psycopg.Connection[Any]) -> None:
    """As far as PostgreSQL keeps names: 63 bytes."""
    cursor = connection.execute(f"SELECT 1 AS {quote_identifier(name)}".encode())
    assert cursor.description is not None
    read = cursor.description[0].name
    assert name.startswith(read)
    assert (read == name) == (len(name.encode()) <= 63)
    percent = quote_identifier(name).replace("%", "%%")
    cursor = connection.execute(f"SELECT %s AS {percent}".encode(), [1])
    assert cursor.description is not None
    assert cursor.description[0].name == read


@in_one_database
@given(schema=names, other=names)
@example(schema="x" * 58, other="x" * 59)
@example(schema="x" * 60 + "a", other="x" * 60 + "b")
def test_a_schema_is_notified_on_a_channel_of_its_own(
    schema: str, other: str, connection: psycopg.Connection[Any]
) -> None:
    assume(schema != other)
    listen(connection, schema)
    connection.execute("SELECT pg_notify(%s, 'theirs')", [channel(other)])
    connection.execute("SELECT pg_notify(%s, 'ours')", [channel(schema)])
    heard = [(notice.channel, notice.payload) for notice in connection.notifies(timeout=0)]
    connection.execute("UNLISTEN *")
    assert heard == [(channel(schema), "ours")]


@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(schema=schemas)
@example(schema='%s"; DROP SCHEMA jobq CASCADE; --')
@example(schema="it's {schema} $$ %(queue)s /* \n")
def test_a_job_goes_its_whole_way_in_a_schema_of_any_name(schema: str, settings: Settings) -> None:
    with migrated(replace(settings, schema=schema)) as own:
        worker = own.worker()
        own.set_waiting(worker, waiting=True)
        listen(own.connection, schema)
        job = own.add(queue=schema.replace("\n", "")[:50] or "q", unique_key="k")
        assert own.add(unique_key="k") is None
        own.connection.execute("SELECT 1")
        assert [notice.channel for notice in own.connection.notifies(timeout=0)] == [channel(schema)]
        database = Database(own.settings)
        try:
            assert observe.stats(database).pending == 1
            (queued,) = observe.list_jobs(database, filters.parse("")).jobs
            (claimed,) = own.claim(worker, [queued.queue])
            assert own.finish(worker, report_on(claimed)) == 1
            assert observe.show(database, claimed.id).job.outcome == "successful"
        finally:
            database.close()
        assert claimed.id == job


def listen(connection: psycopg.Connection[Any], schema: str) -> None:
    for listening in workers.listening(schema, 1):
        connection.execute(listening)


@contextmanager
def migrated(settings: Settings) -> Iterator[Store]:
    """The statements of the store in a schema that is there for the length of the block."""
    migrations.migrate(Database(settings))
    with Store.on(settings) as store:
        try:
            yield store
        finally:
            store.execute(f"DROP SCHEMA {quote_identifier(settings.schema)} CASCADE")


@given(schema=names)
def test_a_statement_keeps_its_own_parameters_beside_any_name(schema: str) -> None:
    usual = statement("claim", "jobq").decode().count("%")
    occurrences = statement("claim", "jobq").decode().count('"jobq"')
    assert statement("claim", schema).decode().count("%") == usual + 2 * occurrences * schema.count("%")
    for _, _, text in migration_texts("{schema}"):
        assert '"{schema}"' in text


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "nul \0", "half \udcff", "pg_mine"])
def test_a_name_that_postgresql_would_not_keep_is_refused_as_a_setting(
    name: str, connection: psycopg.Connection[Any], tmp_path: "Path"
) -> None:
    with pytest.raises(ConfigurationError, match="schema is "):
        load(tmp_path, schema=name)
    if name == "pg_mine":
        with pytest.raises(pg.ReservedName):
            connection.execute(f"CREATE SCHEMA {quote_identifier(name)}".encode())
