"""A schema for a while: `jobq bench` measures in one, and leaves nothing behind."""

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
    """A database like this one, with a schema of its own that is dropped in the end.

    What a run left that was killed is dropped before: while a run lives, it holds a lock on its schema's name. Raises
    DatabaseError where the server is unreachable, or does not let a schema be made.
    """
    with database.explained(), database.connect("bench") as connection:
        if database.is_pooled:  # the lock would stay with whoever is given the session next
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
    """Drops the schemas of runs that no longer live; returns their names."""
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
    """Of what has ended well: attempts, jobs, and the seconds from the first start to the last end."""
    with database.connection() as connection:
        row = connection.execute(statement("bench_ended", database.schema)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def values(database: Database) -> dict[int, float]:
    """What each job that has ended returned: a number."""
    with database.connection() as connection:
        return dict(connection.execute(statement("bench_values", database.schema)).fetchall())
