"""Tells a schema of jobq's releases from one that other migrations made, which this code cannot use."""

from psycopg import errors as pg

from jobq.commands import command
from jobq.errors import SchemaForeign
from jobq.store.sessions import Connection
from jobq.store.statements import quote_identifier

FIRST_MIGRATION = "0001_schema"
"""Before the first release, migration 1 had another name."""


def require_own(connection: Connection, schema: str, where: str) -> None:
    """Raises SchemaForeign. Accepts a schema without the table of migrations, and one that the role may not read."""
    text = f"SELECT name FROM {quote_identifier(schema)}.migrations WHERE version = 1"
    try:
        row = connection.execute(text.encode()).fetchone()
    except (pg.UndefinedTable, pg.InvalidSchemaName, pg.InsufficientPrivilege):
        return
    if row is not None and row[0] != FIRST_MIGRATION:
        raise SchemaForeign(
            f"The schema {schema!r} of {where} was made by a jobq from before the first release, and this one cannot "
            f"upgrade it: rename it (ALTER SCHEMA {quote_identifier(schema)} RENAME TO before_jobq_1), or set another "
            f"schema, and run: {command('migrate')}"
        )
