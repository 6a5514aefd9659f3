"""The checks of `manage.py check` for the database."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks

from jobq.django import database
from jobq.errors import DatabaseError, JobqError
from jobq.store import migrations
from jobq.store.database import Database


def check_engine() -> Iterator[checks.CheckMessage]:
    """An error if the database for the jobs is not PostgreSQL."""
    if (vendor := database.connection().vendor) != "postgresql":
        yield checks.Error(
            f"jobq needs PostgreSQL, but DATABASES[{database.alias()!r}] is {vendor}.",
            hint="Set JOBQ_DATABASE_ALIAS to the alias of a PostgreSQL database.",
            id="jobq.E001",
        )


def check_tables(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[checks.CheckMessage]:
    """A warning if jobq's tables are missing or old. Runs like Django's database checks: only if the database is
    named."""
    if database.alias() not in (databases or ()) or database.connection().vendor != "postgresql" or is_migrating():
        return
    own = Database(database.own_settings())
    try:
        migrations.require_current(own)
    except DatabaseError as error:
        yield checks.Warning(str(error).replace("jobq migrate", "manage.py migrate"), id="jobq.W001")
    except JobqError as error:
        yield checks.Error(str(error), id="jobq.E002")
    finally:
        own.close()


def is_migrating() -> bool:
    """Whether the tables are being made just now."""
    return sys.argv[1:2] == ["migrate"]
