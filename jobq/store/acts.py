"""Operators' acts on jobs: queue finished ones again, cancel, ask to end, purge."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobq.records import Count
from jobq.states import Outcome
from jobq.store import audit, metrics
from jobq.store.database import Connection
from jobq.store.statements import channel, control_channel, statement

Seen = Mapping[int, int]
"""The last attempt of each job that was seen: an act on a later one is refused. Jobs that are not in here may have
any."""


def fence(ids: Sequence[int], seen: Seen | None) -> dict[str, Any]:
    """The parameters that restrict a statement to the attempts that were seen."""
    return {"ids": list(ids), "attempts": None if seen is None else [seen.get(job_id) for job_id in ids]}


def retry_by_hand(
    connection: Connection, schema: str, ids: Sequence[int], *, act: int | None = None, seen: Seen | None = None
) -> list[int]:
    """Queues finished jobs again; returns those it changed, in order. As part of an act, they are kept for its undo."""
    rows = connection.execute(
        statement("retry_by_hand", schema), {**fence(ids, seen), "channel": channel(schema)}
    ).fetchall()
    if act is not None and rows:
        audit.keep(connection, schema, act, [(job_id, attempt) for job_id, attempt, _ in rows])
    return sorted(row[0] for row in rows)


def cancel(
    connection: Connection,
    schema: str,
    ids: Sequence[int],
    *,
    cancelled_by: str,
    act: int | None = None,
    seen: Seen | None = None,
) -> list[int]:
    """Cancels jobs that are not running; returns those it changed, in order. As part of an act, they are kept."""
    with connection.transaction():
        rows = connection.execute(
            statement("cancel", schema), {**fence(ids, seen), "cancelled_by": cancelled_by, "act": act}
        ).fetchall()
        if not rows:
            return []
        counts = [
            Count(minute, queue, job_class, Outcome.CANCELLED, False, None, None, 1)
            for _, minute, queue, job_class in rows
        ]
        metrics.add(connection, schema, metrics.figures_of(counts))
    return sorted(row[0] for row in rows)


def request_cancel(
    connection: Connection, schema: str, ids: Sequence[int], *, cancelled_by: str, seen: Seen | None = None
) -> list[int]:
    """Asks running jobs to end; returns those that were running, in order."""
    parameters = {**fence(ids, seen), "cancelled_by": cancelled_by, "channel": control_channel(schema)}
    rows = connection.execute(statement("request_cancel", schema), parameters).fetchall()
    return sorted(row[0] for row in rows)


def purge(connection: Connection, schema: str, ids: Sequence[int], *, act: int, seen: Seen | None = None) -> list[int]:
    """Hides every attempt of finished jobs; returns those jobs, in order."""
    rows = connection.execute(statement("purge", schema), {**fence(ids, seen), "act": act}).fetchall()
    return sorted(job_id for (job_id,) in rows)
