"""Brings the schema up to date: numbered files, forward only, each in its own transaction under one lock."""

from dataclasses import dataclass

from psycopg import errors as pg

from jobq.errors import SchemaAhead, SchemaBehind, SchemaMissing
from jobq.store import history
from jobq.store.database import Connection, Database, check_server
from jobq.store.statements import migration_texts, quote_identifier


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    text: str


def known(schema: str) -> list[Migration]:
    """Every migration that this version of jobq has, in order."""
    return [Migration(*entry) for entry in migration_texts(schema)]


def migrate(database: Database) -> list[Migration]:
    """Applies what is missing, and returns it. Safe from any number of places at once: one applies, the rest wait.

    Raises DatabaseError where the server is unreachable, read-only, too old, or forbids it.
    """
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        applied = []
        for migration in known(database.schema):
            if apply(connection, database.schema, migration):
                applied.append(migration)
        history.make_partitions(connection, database.schema)
        return applied


def apply(connection: Connection, schema: str, migration: Migration) -> bool:
    """Applies one migration, unless it has been. The lock is the transaction's: it also works through a pooler."""
    quoted = quote_identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobq migrate {schema}"])
        if migration.version in applied_versions(connection, schema):
            return False
        if migration.version == 1:
            if not schema_exists(connection, schema):  # asking for it IF NOT EXISTS needs the right to create schemas
                connection.execute(f"CREATE SCHEMA {quoted}".encode())
            connection.execute(bookkeeping(schema).encode())
        connection.execute(migration.text.encode())
        connection.execute(
            f"INSERT INTO {quoted.replace('%', '%%')}.migrations (version, name) VALUES (%s, %s)".encode(),
            [migration.version, migration.name],
        )
    return True


def plan(database: Database) -> list[Migration]:
    """What `migrate` would apply now."""
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        applied = applied_versions(connection, database.schema)
    return [migration for migration in known(database.schema) if migration.version not in applied]


def require_current(database: Database) -> None:
    """Checks that the schema is the one this version works with; the embedded database is migrated by itself.

    Raises SchemaMissing, SchemaBehind or SchemaAhead, which say what to run.
    """
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        applied = applied_versions(connection, database.schema)
    version, versions = max(applied, default=0), {migration.version for migration in known(database.schema)}
    latest = max(versions)
    if not versions <= applied and database.is_embedded:
        migrate(database)
        return
    where = f"schema {database.schema!r} of {database.shown_url}"
    if version == 0:
        raise SchemaMissing(f"There are no tables of jobq in {where}. Run: jobq migrate")
    if not versions <= applied:
        raise SchemaBehind(f"The {where} is at version {version}; this jobq needs {latest}. Run: jobq migrate")
    if version > latest:
        raise SchemaAhead(
            f"The {where} is at version {version}, ahead of this jobq's {latest}. Upgrade jobq on this machine."
        )


def applied_versions(connection: Connection, schema: str) -> frozenset[int]:
    """The migrations that have been applied, in whatever order; none where there is no schema of jobq."""
    exists = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", [f"{quote_identifier(schema)}.migrations"]
    ).fetchone()
    if not exists or not exists[0]:
        return frozenset()
    try:
        rows = connection.execute(f"SELECT version FROM {quote_identifier(schema)}.migrations".encode()).fetchall()
    except pg.UndefinedTable:  # dropped in between
        return frozenset()
    return frozenset(version for (version,) in rows)


def schema_exists(connection: Connection, schema: str) -> bool:
    row = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [quote_identifier(schema)]).fetchone()
    return bool(row and row[0])


def bookkeeping(schema: str) -> str:
    quoted = quote_identifier(schema)
    return (
        f"CREATE TABLE {quoted}.migrations (\n"
        "    version integer PRIMARY KEY,\n"
        "    name text NOT NULL,\n"
        "    applied_at timestamptz NOT NULL DEFAULT now()\n"
        ");\n"
        f"COMMENT ON TABLE {quoted}.migrations IS 'Which numbered migrations have been applied.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.version IS 'The number at the front of the file''s name.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.name IS 'The file''s name.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.applied_at IS 'When it was applied.';\n"
    )
