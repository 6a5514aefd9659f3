"""Databases for tests: one for each test, and jobq's tables in a database that a framework made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from secrets import token_hex
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from jobq import embedded, stand_ins
from jobq.addresses import url_of
from jobq.settings import Settings, environment_of, load
from jobq.store import migrations
from jobq.store.database import Database, default_database, use_database
from jobq.store.statements import statement
from jobq.testing.connections import command, connected

PREFIX = "jobq_test_"


@contextmanager
def used(settings: Settings) -> Iterator[Database]:
    """Opens a database and makes it the one for `run_in_worker()` and `jobq.worker()`."""
    database, before = Database(settings), stand_ins.environment
    use_database(database)
    stand_ins.environment = environment_of(settings)
    try:
        yield database
    finally:
        stand_ins.environment = before
        use_database(None)
        database.close()


@contextmanager
def server_url(settings: Settings) -> Iterator[str]:
    """The address of the server for tests. An embedded one is kept running meanwhile."""
    if url := os.environ.get("JOBQ_TEST_DATABASE_URL"):
        yield url
        return
    server = embedded.attach(embedded.default_home(settings.root))
    try:
        yield server.url
    finally:
        server.close()


class Databases:
    """Databases for one test session, each a copy of a template that was migrated once.

    If the role may not create databases, each test gets a schema of its own instead.
    """

    def __init__(self, connection: Any, alive: Any, url: str, settings: Settings) -> None:
        self._connection = connection
        # Its one transaction stays open for the whole test session, and holds the locks that show that. The lock of a
        # PostgreSQL session would stay behind in a pooler.
        self._alive = alive
        self._url = url
        self._settings = settings
        self._session = token_hex(4)
        # Advisory locks belong to one database: only names made from the same one can be checked for live sessions.
        (origin,) = self._execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        self._prefix = f"{PREFIX}{origin}_"
        self._names = (f"{self._prefix}{self._session}_{number}" for number in count())
        self._template: str | None = None
        # Copying the files takes a checkpoint, which is cheap only if writes do not wait for the disk.
        is_durable = self._execute("SHOW fsync").fetchone() == ("on",)
        self._strategy = "WAL_LOG" if is_durable else "FILE_COPY"

    @classmethod
    @contextmanager
    def on(cls, url: str, settings: Settings) -> "Iterator[Databases]":
        """Makes databases on the server at `url`, and leaves nothing behind."""
        with (
            psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection,
            psycopg.connect(url, prepare_threshold=None) as alive,
        ):
            databases = cls(connection, alive, url, settings)
            databases._sweep()
            try:
                if databases._may_create_databases():
                    databases._make_template()
                yield databases
            finally:
                if databases._template is not None:
                    databases._drop("DATABASE", databases._template)

    @contextmanager
    def new(self) -> Iterator[Settings]:
        """A database for one test, as the settings that lead to it. Dropped afterwards."""
        if self._template is not None:
            with self._clone(self._template) as settings:
                yield settings
        else:
            with self._schema() as settings:
                yield settings

    @contextmanager
    def _clone(self, template: str) -> Iterator[Settings]:
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {self._strategy}")
        try:
            yield self._settings_for(name)
        finally:
            self._drop("DATABASE", name)

    @contextmanager
    def _schema(self) -> Iterator[Settings]:
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

    def _settings_for(self, name: str) -> Settings:
        return replace(self._settings, database_url=make_conninfo(self._url, dbname=name))

    def _may_create_databases(self) -> bool:
        (may,) = self._execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        return bool(may)

    def _sweep(self) -> None:
        """Drops what killed sessions left: a live session holds a lock on its name."""
        self._alive.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self._alive.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self._session])
        for kind, catalog, column in (
            ("DATABASE", "pg_database", "datname"),
            ("SCHEMA", "pg_namespace", "nspname"),
        ):
            found = self._execute(f"SELECT {column} FROM {catalog} WHERE starts_with({column}, %s)", [self._prefix])
            for (name,) in found.fetchall():
                session = name.removeprefix(self._prefix).split("_")[0]
                if session == self._session:
                    continue
                (dead,) = self._alive.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [session]).fetchone()
                if dead:
                    self._drop(kind, name)

    def _drop(self, kind: str, name: str) -> None:
        # FORCE: a connection that a test forgot must not fail the next test.
        self._execute(f"DROP {kind} IF EXISTS {name} {'WITH (FORCE)' if kind == 'DATABASE' else 'CASCADE'}")

    def _execute(self, statement: str, parameters: list[str] | None = None) -> Any:
        return self._connection.execute(statement, parameters)


def with_url(settings: Settings) -> Settings:
    """The same settings with the address as a URL, which an engine of SQLAlchemy accepts too."""
    return replace(settings, database_url=url_of(settings.database_url or ""))


def migrate(settings: Settings) -> None:
    database = Database(settings)
    try:
        migrations.migrate(database)
    finally:
        database.close()


def create_tables(place: Any) -> None:
    """Creates jobq's tables in a database that another tool made for tests. Existing ones stay as they are.

    `place` leads to the database: its address, an Engine, Connection or Session of SQLAlchemy, Django's connection, or
    one of psycopg or psycopg2. The tables are created on a connection of jobq's own, and committed.
    """
    migrate(replace(load(), database_url=address_of(place)))


def address_of(place: Any) -> str:
    """The address of the database behind an object. Raises TypeError if jobq does not know its kind."""
    if isinstance(place, str):
        return place
    if hasattr(place, "settings_dict"):  # Django's
        return address_of_django(place.settings_dict)
    if isinstance(place, psycopg.Connection | psycopg.AsyncConnection):
        return make_conninfo(place.info.dsn, password=place.info.password or None)
    if isinstance(parameters := getattr(getattr(place, "info", None), "dsn_parameters", None), dict):  # psycopg2's
        return make_conninfo(**parameters, password=place.info.password or None)
    place = place.get_bind() if hasattr(place, "get_bind") else place
    place = getattr(place, "engine", place)
    if hasattr(place, "url"):
        query = {name: value for name, value in place.url.query.items() if name in options_of_postgresql()}
        return str(place.url.set(drivername="postgresql", query=query).render_as_string(hide_password=False))
    raise TypeError(
        f"{type(place).__name__} does not lead to a database. Give an address, an Engine, Connection or Session of "
        "SQLAlchemy, Django's connection, or one of psycopg or psycopg2."
    )


def address_of_django(settings: dict[str, Any]) -> str:
    """An entry of Django's DATABASES as an address."""
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    options = {name: value for name, value in settings.get("OPTIONS", {}).items() if name in options_of_postgresql()}
    return make_conninfo(**options, **{names[key]: settings[key] for key in names if settings.get(key)})


def options_of_postgresql() -> set[str]:
    """Valid parts of an address. Frameworks and drivers have additional options."""
    return {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}


def empty_tables(connection: Any = None) -> None:
    """Empties all of jobq's tables, after a test that has committed; `connection` is as in `assert_enqueued`."""
    schema = default_database().schema
    with connected(connection) as found:
        for (text,) in found.execute(statement("empty_tables", schema), {"schema": schema}).fetchall():
            command(found, text)
