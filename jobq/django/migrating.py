"""jobq's tables in Django's database: brought up to date after each `manage.py migrate`.

There are no Django migrations: each release of jobq would need a second copy of its SQL migrations.
"""

import sys
from typing import Any

from django.core.management.base import CommandError

from jobq.django import database
from jobq.errors import JobqError
from jobq.store import migrations
from jobq.store.database import Database


def bring_up_to_date(using: str, verbosity: int = 1, stdout: Any = None, plan: Any = None, **_kwargs: Any) -> None:
    """Receives `post_migrate`: from `migrate`, and from `flush`, which has no plan."""
    if using != database.alias() or database.connection().vendor != "postgresql":
        return
    if plan is None and database.in_tests():
        from jobq.testing import empty_tables

        empty_tables(database.connection())  # as TransactionTestCase does with the tables of models
        return
    own = Database(database.own_settings())
    try:
        applied = migrations.migrate(own)
    except JobqError as error:
        raise CommandError(f"jobq's tables in the database {using!r}: {error}") from None
    finally:
        own.close()
    if verbosity >= 1 and applied:
        out = stdout or sys.stdout
        out.write(f"Brought jobq's tables up to date: {applied[0].name} … {applied[-1].name}\n")
