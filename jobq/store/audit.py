"""Changes to rows of `audit` and `kept`: who did what, and what can be undone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from jobq.store.database import Connection
from jobq.store.statements import channel, control_channel, quote_identifier, statement

NAMED_IDS = 20
"""Maximum number of an act's jobs that its row names; the function note_act() has it, too."""

KEPT_SECONDS = 600
"""Jobs that acts removed are deleted after this many seconds: well after they could be undone."""


LOOKED_AT = 1000
"""Number of an act's jobs that are checked to find out whether some can still be restored."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """An act that was not undone, and how many items can still be undone: counted up to a thousand jobs."""

    act: int
    verb: str
    number: int


def begin(
    connection: Connection, schema: str, *, who: str, verb: str, selection: str | None, undoes: int | None
) -> int:
    """Adds the row of an act; part of the transaction that does it."""
    row = connection.execute(
        statement("begin_act", schema), {"who": who, "verb": verb, "selection": selection, "undoes": undoes}
    ).fetchone()
    assert row is not None
    act: int = row[0]
    return act


def note(
    connection: Connection, schema: str, act: int, *, affected: int, ids: Sequence[int], names: Sequence[str]
) -> None:
    """Adds to an act's row what was done."""
    connection.execute(
        statement("note_act", schema),
        {"act": act, "affected": affected, "ids": list(ids[:NAMED_IDS]), "names": list(names)},
    )


@contextmanager
def transaction(connection: Connection) -> Iterator[psycopg.Transaction]:
    """The transaction of an act. If it was to leave no record, it leaves none even if the connection is lost at the
    end."""
    with suppress(psycopg.Rollback), connection.transaction() as transaction:
        yield transaction


def leave_none(transaction: psycopg.Transaction) -> None:
    """Rolls back the transaction of an act in which nothing was done: that leaves no record."""
    raise psycopg.Rollback(transaction)


def keep(connection: Connection, schema: str, act: int, kept: Sequence[tuple[int, int]]) -> None:
    """Keeps the jobs of an act, each with its attempt."""
    connection.execute(
        statement("keep", schema),
        {
            "act": act,
            "ids": [job_id for job_id, _ in kept],
            "attempts": [attempt for _, attempt in kept],
        },
    )


def kept_jobs(connection: Connection, schema: str, act: int) -> list[int]:
    """The jobs of an act that can still be restored."""
    return [job_id for (job_id,) in connection.execute(statement("kept_jobs", schema), {"act": act}).fetchall()]


def undo_retry(connection: Connection, schema: str, act: int, ids: Sequence[int]) -> list[int]:
    return undone(connection, "undo_retry", schema, act, ids)


def undo_cancel(connection: Connection, schema: str, act: int, ids: Sequence[int]) -> list[int]:
    return undone(connection, "undo_cancel", schema, act, ids)


def undo_purge(connection: Connection, schema: str, act: int, ids: Sequence[int]) -> list[int]:
    return undone(connection, "undo_purge", schema, act, ids)


def undone(connection: Connection, name: str, schema: str, act: int, ids: Sequence[int]) -> list[int]:
    parameters = {"act": act, "ids": list(ids), "channel": channel(schema)}
    return sorted(row[0] for row in connection.execute(statement(name, schema), parameters).fetchall())


def undo_pause(connection: Connection, schema: str, act: int) -> list[str]:
    """Resumes queues that an act paused; returns them."""
    rows = connection.execute(statement("undo_pause", schema), {"act": act, "channel": channel(schema)}).fetchall()
    return sorted(row[0] for row in rows)


def undo_resume(connection: Connection, schema: str, act: int) -> list[str]:
    """Pauses queues again that an act resumed; returns them."""
    parameters = {"act": act, "channel": control_channel(schema)}
    return [row[0] for row in connection.execute(statement("undo_resume", schema), parameters).fetchall()]


def undoable(
    connection: Connection, schema: str, *, verbs: Sequence[str], seconds: float, who: str | None
) -> list[Remaining]:
    """The recent acts, each with the number of items that can still be undone; the latest first."""
    parameters = {"verbs": list(verbs), "seconds": seconds, "who": who, "looked_at": LOOKED_AT}
    return [Remaining(*row) for row in connection.execute(statement("undoable_acts", schema), parameters).fetchall()]


def mark_undone(connection: Connection, schema: str, act: int) -> None:
    connection.execute(statement("mark_undone", schema), {"act": act})


def forget_kept(connection: Connection, schema: str) -> None:
    """Deletes for good the jobs that acts removed some time ago."""
    quoted = quote_identifier(schema).replace("%", "%%")
    connection.execute(
        f"DELETE FROM {quoted}.kept WHERE kept_at < statement_timestamp() - %s * interval '1 second'".encode(),
        [KEPT_SECONDS],
    )
