"""A temporary schema: `jobq bench` measures in one, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

from jobq.errors import ConfigurationError
from jobq.store import migrations
from jobq.store.database import Connection, Database
from jobq.store.statements import quote_identifier, statement

PREFIX = "jobq_bench_"


@contextmanager
def scratch(database: Database) -> Iterator[Database]:
    """A database like this one, with a schema of its own that is dropped at the end.

    Schemas that killed runs left are dropped before: a live run holds a lock on its schema's name. Raises DatabaseError
    if the server is unreachable, or forbids a new schema.
    """
    with database.explained(), database.connect("bench") as connection:
        if database.is_pooled:  # the lock would stay with the next client of the session
            raise ConfigurationError(
                f"{database.shown_url} is a pooler, and a measurement needs sessions of its own. Give the address of "
                "the server itself, by --database-url."
            )
        drop_abandoned(connection)
        name = PREFIX + uuid4().hex[:12]
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        own = Database(replace(database.settings, schema=name))
        try:
            migrations.migrate(own)
            yield own
        finally:
            own.close()
            drop(connection, name)


def drop_abandoned(connection: Connection) -> list[str]:
    """Drops the schemas of runs that are no longer alive; returns their names."""
    names = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) AND pg_has_role(nspowner, 'USAGE')", [PREFIX]
    ).fetchall()
    dropped = []
    for (name,) in names:
        lock = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
        if lock == (True,):
            drop(connection, name)
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
            dropped.append(name)
    return dropped


def drop(connection: Connection, schema: str) -> None:
    connection.execute(f"DROP SCHEMA IF EXISTS {quote_identifier(schema)} CASCADE".replace("%", "%%").encode())


def ended(database: Database) -> tuple[int, int, float]:
    """The jobs that ended well: attempts, jobs, and the seconds from the first start to the last end."""
    with database.connection() as connection:
        row = connection.execute(statement("bench_ended", database.schema)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def values(database: Database) -> dict[int, float]:
    """The return value of each ended job: a number."""
    with database.connection() as connection:
        return dict(connection.execute(statement("bench_values", database.schema)).fetchall())
