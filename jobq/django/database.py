"""The one of Django's databases that holds the jobs, and how jobq reaches it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from jobq import found_database
from jobq.settings import Settings, load
from jobq.store import database as store
from jobq.store.database import Connection, Database


def alias() -> str:
    """The alias in DATABASES of the database that holds the jobs: the setting JOBQ_DATABASE_ALIAS."""
    found: str = getattr(settings, "JOBQ_DATABASE_ALIAS", DEFAULT_DB_ALIAS)
    return found


def connection() -> Any:
    """Django's own connection to it, in this thread."""
    return connections[alias()]


def address() -> str | None:
    """The address of Django's database for libpq. None if it is not PostgreSQL, or has no name yet."""
    return found_database.of_django(connection().settings_dict, vendor=connection().vendor, alias=alias()).url


def own_settings() -> Settings:
    """jobq's settings with the address of Django's database."""
    return replace(load(), database_url=address())


def schema() -> str:
    return store.default_database().schema


_used: str | None = None
"""The address of the Django test database of this process."""


def use() -> None:
    """In a test, makes jobq use Django's test database: the address in jobq's settings leads to real data.

    Outside of tests jobq finds Django's database by itself, unless its own settings name another.
    """
    global _used
    if not in_tests() or (url := address()) is None or url == _used:
        return
    if _used is not None:
        store.default_database().close()
    _used = url
    store.use_database(DatabaseOfTests(own_settings()))


def follow(connection: Any, **_kwargs: Any) -> None:
    """Receives `connection_created`. Test databases, and their clones, get their names after Django was set up."""
    if connection.alias == alias():
        use()


def in_tests() -> bool:
    """Whether a test runner has set its environment up. `mail.outbox` does not prove it: a mail backend makes it
    too."""
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


class DatabaseOfTests(Database):
    """Keeps no connection open: Django could not drop or clone a test database with a connection."""

    @contextmanager
    def connection(self, *, changes: bool = False) -> Iterator[Connection]:
        with self.explained(), self.connect("test") as connection:
            yield connection
