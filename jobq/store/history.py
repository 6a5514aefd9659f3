"""The partitions of the history, of results and logs: made ahead by the day, dropped by the day.

Days are days of UTC. Nothing depends on this being done in time: rows without a partition go to the default one, and
move into their day's partition when that is made.
"""

from datetime import UTC, date, datetime, timedelta

from psycopg import errors as pg

from jobq.store.database import Connection
from jobq.store.statements import quote_identifier, statement

DAYS_AHEAD = 7
LOCK_TIMEOUT_MS = 2000
WORKERS_KEPT_DAYS = 30


def make_partitions(connection: Connection, schema: str) -> list[date]:
    """Makes the missing partitions of today and the days ahead, and returns their days."""
    existing = partition_days(connection, schema)
    wanted = [today(connection) + timedelta(days=offset) for offset in range(DAYS_AHEAD + 1)]
    return [day for day in wanted if day not in existing and make_partition(connection, schema, day)]


def make_partition(connection: Connection, schema: str, day: date) -> bool:
    """Makes one day's partition and moves the rows of that day from the default partition into it.

    False if another worker made it, or if the table was too busy to wait for: the next round tries again.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}".encode())
            take_lock(connection, schema)
            if day in partition_days(connection, schema):
                return False
            connection.execute(statement("make_partition", schema), {"day": day})
    except pg.LockNotAvailable:
        return False
    return True


def drop_old_partitions(connection: Connection, schema: str, *, keep_days: int) -> list[date]:
    """Drops days older than `keep_days`, and such rows of the default partition. 0 keeps all."""
    if keep_days == 0:
        return []
    oldest_kept = today(connection) - timedelta(days=keep_days)
    dropped = []
    for day in sorted(partition_days(connection, schema)):
        if day < oldest_kept and drop_partition(connection, schema, day):
            dropped.append(day)
    quoted = escaped(quote_identifier(schema))
    for default, moment in (("results_default", "ended_at"), ("logs_default", "at")):
        connection.execute(
            f"DELETE FROM {quoted}.{default} WHERE {moment} < %s::date::timestamp AT TIME ZONE 'UTC'".encode(),
            [oldest_kept],
        )
    return dropped


def drop_partition(connection: Connection, schema: str, day: date) -> bool:
    try:
        with connection.transaction():
            # A wait for the parent's lock would make every writer behind it wait too.
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}".encode())
            take_lock(connection, schema)
            connection.execute(statement("drop_partition", schema), {"day": day})
    except pg.LockNotAvailable:
        return False
    return True


def forget_workers(connection: Connection, schema: str, *, keep_days: int) -> None:
    """Deletes workers that ended long ago, like the history that names them."""
    connection.execute(
        f"DELETE FROM {escaped(quote_identifier(schema))}.workers "
        "WHERE stopped_at < now() - %s * interval '1 day'".encode(),
        [max(keep_days, WORKERS_KEPT_DAYS)],
    )


def forget_deploys(connection: Connection, schema: str, *, keep_days: int) -> None:
    """Forgets deploys of workers that are forgotten, but never the last one."""
    quoted = escaped(quote_identifier(schema))
    connection.execute(
        f"DELETE FROM {quoted}.deploys WHERE at < now() - %s * interval '1 day' "
        f"AND id < (SELECT max(id) FROM {quoted}.deploys)".encode(),
        [max(keep_days, WORKERS_KEPT_DAYS)],
    )


def partition_days(connection: Connection, schema: str) -> set[date]:
    rows = connection.execute(
        "SELECT child.relname FROM pg_inherits "
        "JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = to_regclass(%s)",
        [f"{quote_identifier(schema)}.results"],
    ).fetchall()
    return {
        datetime.strptime(name.removeprefix("results_"), "%Y%m%d").replace(tzinfo=UTC).date()
        for (name,) in rows
        if name != "results_default"
    }


def today(connection: Connection) -> date:
    row = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date").fetchone()
    assert row is not None
    day: date = row[0]
    return day


def take_lock(connection: Connection, schema: str) -> None:
    """One at a time, until the transaction ends: this also works through a pooler."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobq history {schema}"])


def escaped(text: str) -> str:
    """For statements with parameters, in which a percent sign would be read as a placeholder."""
    return text.replace("%", "%%")
