"""A pytest plugin for applications that use jobq: a database for each test, and what was enqueued into it.

Loaded by pytest wherever jobq is installed, so it imports nothing of jobq until a fixture is asked for.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobq.settings import Settings
    from jobq.store.database import Database

PREFIX = "jobq_test_"


@pytest.fixture(scope="session")
def jobq_databases() -> "Iterator[Databases]":
    """Where the databases of this session come from: JOBQ_TEST_DATABASE_URL, else the embedded PostgreSQL."""
    from jobq.settings import load

    settings = load()
    with server_url(settings) as url, Databases.on(url, settings) as databases:
        yield databases


@pytest.fixture
def jobq_database(jobq_databases: "Databases") -> "Iterator[Database]":
    """A database of the test's own, with jobq's tables in it: `run_in_worker()` enqueues there."""
    with jobq_databases.new() as settings, used(settings) as database:
        yield database


@contextmanager
def used(settings: "Settings") -> "Iterator[Database]":
    """Opens a database and makes it the one that `run_in_worker()` enqueues into."""
    from jobq.store.database import Database, use_database

    database = Database(settings)
    use_database(database)
    try:
        yield database
    finally:
        use_database(None)
        database.close()


@contextmanager
def server_url(settings: "Settings") -> Iterator[str]:
    """The address of the server for tests, kept running meanwhile where it is the embedded one."""
    if url := os.environ.get("JOBQ_TEST_DATABASE_URL"):
        yield url
        return
    from jobq import embedded

    server = embedded.attach(embedded.default_home(settings.root))
    try:
        yield server.url
    finally:
        server.close()


class Databases:
    """Databases for the tests of one session, each a copy of a template that was migrated once.

    Where the role may not create databases, each test gets a schema of its own instead.
    """

    def __init__(self, connection: Any, url: str, settings: "Settings") -> None:
        from secrets import token_hex

        self._connection = connection
        self._url = url
        self._settings = settings
        self._session = token_hex(4)
        self._names = (f"{PREFIX}{self._session}_{number}" for number in count())
        self._template: str | None = None

    @classmethod
    @contextmanager
    def on(cls, url: str, settings: "Settings") -> "Iterator[Databases]":
        """Makes databases on the server at `url`, and leaves nothing behind."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            databases = cls(connection, url, settings)
            databases._sweep()
            try:
                if databases._may_create_databases():
                    databases._make_template()
                yield databases
            finally:
                if databases._template is not None:
                    databases._drop("DATABASE", databases._template)

    @contextmanager
    def new(self) -> "Iterator[Settings]":
        """A database for one test, as the settings that lead to it; dropped afterwards."""
        if self._template is not None:
            with self._clone(self._template) as settings:
                yield settings
        else:
            with self._schema() as settings:
                yield settings

    @contextmanager
    def _clone(self, template: str) -> "Iterator[Settings]":
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self._settings_for(name)
        finally:
            self._drop("DATABASE", name)

    @contextmanager
    def _schema(self) -> "Iterator[Settings]":
        from dataclasses import replace

        name = next(self._names)
        settings = replace(self._settings, database_url=self._url, schema=name)
        try:
            migrate(settings)
            yield settings
        finally:
            self._drop("SCHEMA", name)

    def _make_template(self) -> None:
        self._template = next(self._names)
        self._execute(f"CREATE DATABASE {self._template}")
        migrate(self._settings_for(self._template))

    def _settings_for(self, name: str) -> "Settings":
        from dataclasses import replace

        from psycopg.conninfo import make_conninfo

        return replace(self._settings, database_url=make_conninfo(self._url, dbname=name))

    def _may_create_databases(self) -> bool:
        (may,) = self._execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        return bool(may)

    def _sweep(self) -> None:
        """Drops what sessions left behind that were killed: a session that lives holds a lock on its name."""
        self._execute("SELECT pg_advisory_lock(hashtext(%s))", [self._session])
        for kind, catalog, column in (
            ("DATABASE", "pg_database", "datname"),
            ("SCHEMA", "pg_namespace", "nspname"),
        ):
            found = self._execute(f"SELECT {column} FROM {catalog} WHERE starts_with({column}, %s)", [PREFIX])
            for (name,) in found.fetchall():
                session = name.removeprefix(PREFIX).split("_")[0]
                if session == self._session:
                    continue
                (dead,) = self._execute("SELECT pg_try_advisory_lock(hashtext(%s))", [session]).fetchone()
                if dead:
                    self._drop(kind, name)
                    self._execute("SELECT pg_advisory_unlock(hashtext(%s))", [session])

    def _drop(self, kind: str, name: str) -> None:
        # FORCE: a connection that a test forgot is that test's failure, not the next one's.
        self._execute(f"DROP {kind} IF EXISTS {name} {'WITH (FORCE)' if kind == 'DATABASE' else 'CASCADE'}")

    def _execute(self, statement: str, parameters: list[str] | None = None) -> Any:
        return self._connection.execute(statement, parameters)


def migrate(settings: "Settings") -> None:
    from jobq.store import migrations
    from jobq.store.database import Database

    database = Database(settings)
    try:
        migrations.migrate(database)
    finally:
        database.close()
