"""Which of Django's databases holds the jobs, and how jobq reaches it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from jobq.settings import Settings, load
from jobq.store import database as store
from jobq.store.database import Connection, Database

OF_PYTHON = {"client_encoding", "connection_factory", "context", "cursor_factory", "prepare_threshold", "row_factory"}
"""Parameters of a connection that are Django's or psycopg's, and no part of an address."""


def alias() -> str:
    """The alias in DATABASES of the database that holds the jobs: the setting JOBQ_DATABASE_ALIAS."""
    found: str = getattr(settings, "JOBQ_DATABASE_ALIAS", DEFAULT_DB_ALIAS)
    return found


def connection() -> Any:
    """Django's own connection to it, in this thread."""
    return connections[alias()]


def address() -> str | None:
    """The address of Django's database as libpq reads it; None where it is no PostgreSQL, or has no name yet."""
    if connection().vendor != "postgresql":
        return None
    try:
        parameters = connection().get_connection_params()
    except ImproperlyConfigured:  # an image is built without a database, say; whoever connects is told by Django
        return None
    return " ".join(
        f"{name}={quoted(str(value))}"
        for name, value in parameters.items()
        if name not in OF_PYTHON and value is not None
    )


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def own_settings() -> Settings:
    """jobq's settings with the address of Django's database."""
    return replace(load(), database_url=address())


def schema() -> str:
    return store.default_database().schema


_used: str | None = None
"""The address of Django's that this process uses."""


def use() -> None:
    """Has jobq use Django's database in this process, unless jobq's own settings name another.

    In a test it is Django's in any case: an address in the settings is that of data that a test must not touch.
    """
    global _used
    if not in_tests() and load().database_url is not None:
        return
    url = address()
    if url is None or url == _used:
        return
    if _used is not None:
        store.default_database().close()
    _used = url
    store.use_database((DatabaseOfTests if in_tests() else Database)(own_settings()))


def follow(connection: Any, **_kwargs: Any) -> None:
    """Receives `connection_created`. Test databases, and their clones, get their names after Django was set up."""
    if in_tests() and connection.alias == alias():
        use()


def in_tests() -> bool:
    """Whether a test runner has set its environment up. `mail.outbox` is no sign of it: a mail backend makes it too."""
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


class DatabaseOfTests(Database):
    """Keeps no connection open: Django could not drop or clone a test database that somebody is connected to."""

    @contextmanager
    def connection(self, *, changes: bool = False) -> Iterator[Connection]:
        with self.explained(), self.connect("test") as connection:
            yield connection
