"""Brings the schema up to date: numbered files, forward only, each in its own transaction under one lock.

Each migration says in a line `-- min_version: N` which releases still work after it: those that know migration N. The
schema keeps that number, and an older release refuses to start. So the previous release keeps working, and can return.
"""

import re
import time
from dataclasses import dataclass

from psycopg import errors as pg

from jobq.commands import command
from jobq.errors import DatabaseBusy, SchemaAhead, SchemaBehind, SchemaMissing
from jobq.store import history, lineage, sessions
from jobq.store.database import Connection, Database, check_server
from jobq.store.statements import migration_texts, quote_identifier, statement

LOCK_SECONDS = 1.0
"""Maximum seconds that a migration waits for a table lock: later statements wait behind it meanwhile."""

PAUSE_SECONDS = 2.0
"""Seconds between two tries, which let those statements pass."""

TRIES = 20

MIN_VERSION = re.compile(r"^-- min_version: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    text: str

    @property
    def min_version(self) -> int:
        """The newest migration that a release must know to work after this one."""
        found = MIN_VERSION.search(self.text)
        assert found is not None, f"{self.name} has no line `-- min_version: N`"
        return int(found[1])


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a schema, compared with what this release knows."""

    known: list[Migration]
    applied: frozenset[int]
    min_version: int
    """The newest migration that a release must know to work with this schema; 0 if there are no tables."""

    @property
    def version(self) -> int:
        return max(self.applied, default=0)

    @property
    def own_version(self) -> int:
        return max((migration.version for migration in self.known), default=0)

    @property
    def missing(self) -> list[Migration]:
        return [migration for migration in self.known if migration.version not in self.applied]

    @property
    def is_too_new(self) -> bool:
        """Whether this release does not work with the schema any more."""
        return self.own_version < self.min_version

    @property
    def min_version_after(self) -> int:
        """`min_version` after the missing migrations."""
        return max([self.min_version, *(migration.min_version for migration in self.missing)])


def known(schema: str) -> list[Migration]:
    """Every migration of this version of jobq, in order."""
    return [Migration(*entry) for entry in migration_texts(schema)]


def migrate(database: Database) -> list[Migration]:
    """Applies the missing migrations, and returns them. Safe from any number of places at once: one applies, the rest
    wait.

    Raises DatabaseError if the server is unreachable, read-only, too old, or forbids it, DatabaseBusy if a table stays
    locked for too long, SchemaAhead if this release is too old for the schema, and SchemaForeign if other migrations
    made it.
    """
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        require_new_enough(database, standing(connection, database))
        applied = []
        for migration in known(database.schema):
            if apply_in_a_gap(connection, database.schema, migration):
                applied.append(migration)
        history.make_partitions(connection, database.schema)
        return applied


def search_path_remedy(database: Database) -> str | None:
    """The statement that makes an application's tables go outside of jobq's schema. None if they do already.

    `search_path` begins with "$user", so a role with the name of the schema leads there.
    """
    with database.explained(), sessions.share(database.url, database.parameters("migrate")) as connection:
        ((first,),) = connection.execute(statement("first_schema", database.schema))
        if first != database.schema or first == "public":
            return None
        role, name = map(quote_identifier, (connection.info.user, connection.info.dbname))
        return f"ALTER ROLE {role} IN DATABASE {name} SET search_path = public"


def apply_in_a_gap(connection: Connection, schema: str, migration: Migration) -> bool:
    """Applies one migration as soon as the tables are not locked; see `apply`."""
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
            f"{held_by(connection, schema)}. What was applied before it stays. Run again: {command('migrate')}"
        ) from None


def held_by(connection: Connection, schema: str) -> str:
    """The session whose transaction has held a lock there longest, in words. Empty if there is none any more."""
    row = connection.execute(statement("lock_holders", schema), {"schema": quote_identifier(schema)}).fetchone()
    if row is None:
        return ""
    pid, application, state, seconds = row
    return (
        f": process {pid} of the server ({application or 'without a name'}, {state}) has held one for {seconds:.0f} s. "
        f"To end it: SELECT pg_terminate_backend({pid})"
    )


def apply(connection: Connection, schema: str, migration: Migration) -> bool:
    """Applies one migration, unless it has been applied. The lock belongs to the transaction: it also works through a
    pooler."""
    quoted = quote_identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobq_migrate {schema}"])
        if migration.version in applied_to(connection, schema):
            return False
        # A session that a pooler shares may have another client's search path.
        connection.execute(f"SET LOCAL lock_timeout = {round(LOCK_SECONDS * 1000)}".encode())
        connection.execute(f"SET LOCAL search_path = {sessions.SEARCH_PATH}".encode())
        if migration.version == 1:
            if not schema_exists(connection, schema):  # IF NOT EXISTS would need the right to create schemas
                connection.execute(f"CREATE SCHEMA {quoted}".encode())
            connection.execute(bookkeeping(schema).encode())
        connection.execute(migration.text.encode())
        record(connection, f"{quoted.replace('%', '%%')}.migrations", migration)
    return True


def record(connection: Connection, table: str, migration: Migration) -> None:
    connection.execute(
        f"INSERT INTO {table} (version, name, min_version) VALUES (%s, %s, %s)".encode(),
        [migration.version, migration.name, migration.min_version],
    )


def look(database: Database) -> Standing:
    """The current state of the schema. Raises SchemaForeign if other migrations made it."""
    with database.explained(), database.connect("migrate") as connection:
        check_server(connection)
        return standing(connection, database)


def plan(database: Database) -> list[Migration]:
    """The migrations that `migrate` would apply now."""
    return look(database).missing


def require_current(database: Database) -> Standing:
    """Checks that this release works with the schema. The embedded database is migrated automatically.

    A schema may be ahead: the previous release works with it. Raises SchemaMissing, SchemaBehind, SchemaAhead or
    SchemaForeign, which say what to do.
    """
    found = look(database)
    if found.missing and database.is_embedded:
        migrate(database)
        return look(database)
    where = where_is(database)
    if not found.applied:
        raise SchemaMissing(f"There are no tables of jobq in {where}. Run: {command('migrate')}")
    if found.missing:
        raise SchemaBehind(
            f"The {where} is at version {found.version}; this jobq needs {found.own_version}. Run: {command('migrate')}"
        )
    require_new_enough(database, found)
    return found


def require_new_enough(database: Database, found: Standing) -> None:
    if found.is_too_new:
        raise SchemaAhead(
            f"The {where_is(database)} is at version {found.version} and works with releases from version "
            f"{found.min_version} on; this jobq is at version {found.own_version}. Upgrade jobq on this machine."
        )


def where_is(database: Database) -> str:
    return f"schema {database.schema!r} of {database.shown_url}"


def standing(connection: Connection, database: Database) -> Standing:
    lineage.require_own(connection, database.schema, database.shown_url)
    applied = applied_to(connection, database.schema)
    return Standing(known(database.schema), frozenset(applied), max(applied.values(), default=0))


def applied_to(connection: Connection, schema: str) -> dict[int, int]:
    """The applied migrations, each with its `min_version`. Empty if there are no tables."""
    # From the catalog itself: within a transaction, to_regclass() may remember that there was no such table before.
    ((is_there,),) = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = %s AND relname = 'migrations')",
        [schema],
    ).fetchall()
    if not is_there:
        return {}
    text = f"SELECT version, min_version FROM {quote_identifier(schema)}.migrations"
    try:
        return dict(connection.execute(text.encode()).fetchall())
    except pg.UndefinedTable:  # dropped in between
        return {}


def schema_exists(connection: Connection, schema: str) -> bool:
    row = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [quote_identifier(schema)]).fetchone()
    return bool(row and row[0])


def bookkeeping(schema: str) -> str:
    quoted = quote_identifier(schema)
    return (
        f"CREATE TABLE {quoted}.migrations (\n"
        "    version integer PRIMARY KEY,\n"
        "    name text NOT NULL,\n"
        "    applied_at timestamptz NOT NULL DEFAULT now(),\n"
        "    min_version integer NOT NULL\n"
        ");\n"
        f"COMMENT ON TABLE {quoted}.migrations IS 'Which numbered migrations have been applied.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.version IS 'The number at the front of the file''s name.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.name IS 'The file''s name.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.applied_at IS 'When it was applied.';\n"
        f"COMMENT ON COLUMN {quoted}.migrations.min_version IS "
        "'The newest migration that a release must know to work after this one.';\n"
    )
