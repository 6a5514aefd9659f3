"""Brings the schema up to date: numbered files, forward only, each in its own transaction under one lock."""

import time
from dataclasses import dataclass

from psycopg import errors as pg

from jobq.errors import DatabaseBusy, SchemaAhead, SchemaBehind, SchemaMissing
from jobq.store import history, sessions
from jobq.store.database import Connection, Database, check_server
from jobq.store.statements import migration_texts, quote_identifier, statement

LOCK_SECONDS = 1.0
"""A migration waits no longer than this for the lock of a table: whoever comes after it waits behind it meanwhile."""

PAUSE_SECONDS = 2.0
"""Before it tries again it lets those pass."""

TRIES = 20


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

    Raises DatabaseError where the server is unreachable, read-only, too old, or forbids it, and DatabaseBusy where
    somebody holds a table for too long.
    """
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        applied = []
        for migration in known(database.schema):
            if apply_in_a_gap(connection, database.schema, migration):
                applied.append(migration)
        history.make_partitions(connection, database.schema)
        return applied


def search_path_remedy(database: Database) -> str | None:
    """The statement that has the tables of an application made outside of jobq's schema; None where they are.

    `search_path` begins with "$user", so a role with the name of the schema leads there.
    """
    with database.explained(), sessions.share(database.url, database.parameters("migrate")) as connection:
        ((first,),) = connection.execute(statement("first_schema", database.schema))
        if first != database.schema or first == "public":
            return None
        role, name = map(quote_identifier, (connection.info.user, connection.info.dbname))
        return f"ALTER ROLE {role} IN DATABASE {name} SET search_path = public"


def apply_in_a_gap(connection: Connection, schema: str, migration: Migration) -> bool:
    """Applies one migration as soon as nobody holds the tables; see `apply`."""
    for _ in range(TRIES - 1):
        try:
            return apply(connection, schema, migration)
        except pg.LockNotAvailable:
            time.sleep(PAUSE_SECONDS)
    try:
        return apply(connection, schema, migration)
    except pg.LockNotAvailable:
        raise DatabaseBusy(
            f"Migration {migration.name} found no moment in which nobody uses the tables of schema {schema!r}"
            f"{held_by(connection, schema)}. What was applied before it stays. Run jobq migrate again."
        ) from None


def held_by(connection: Connection, schema: str) -> str:
    """Whose transaction is the oldest that holds a lock there, in words; nothing where there is none any more."""
    row = connection.execute(statement("lock_holders", schema), {"schema": quote_identifier(schema)}).fetchone()
    if row is None:
        return ""
    pid, application, state, seconds = row
    return (
        f": process {pid} of the server ({application or 'without a name'}, {state}) has held one for {seconds:.0f} s. "
        f"To end it: SELECT pg_terminate_backend({pid})"
    )


def apply(connection: Connection, schema: str, migration: Migration) -> bool:
    """Applies one migration, unless it has been. The lock is the transaction's: it also works through a pooler."""
    quoted = quote_identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobq_migrate {schema}"])
        if migration.version in applied_versions(connection, schema):
            return False
        # A session that a pooler shares has a search path of somebody else's.
        connection.execute(f"SET LOCAL lock_timeout = {round(LOCK_SECONDS * 1000)}".encode())
        connection.execute(f"SET LOCAL search_path = {sessions.SEARCH_PATH}".encode())
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
