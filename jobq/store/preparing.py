"""Database work that a claimed job may need before it can be handed out: load its arguments, or commit its begin."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import errors as pg

from jobq.records import Assignment
from jobq.store.database import Connection
from jobq.store.statements import statement

UNREADABLE = (pg.ProgramLimitExceeded, pg.InternalError_)
"""How PostgreSQL refuses to make a text of a value that was written by hand."""


class Loaded(NamedTuple):
    """Loaded arguments."""

    id: int
    attempt: int
    arguments: str | None  # JSON text; None: too large to be read


def load(
    connection: Connection, schema: str, *, worker_id: int, ids: Sequence[int], most_bytes: int, longest: int
) -> list[Loaded]:
    """Reads the arguments of the first of these jobs, and of more, up to `most_bytes` of text.

    Jobs that are not this worker's any more are left out. Arguments of more than `longest` bytes are not read.
    """
    parameters = {"worker_id": worker_id, "ids": list(ids), "bytes": most_bytes, "longest": longest}
    return [Loaded(*row) for row in connection.execute(statement("load", schema), parameters).fetchall()]


def begin(
    connection: Connection, schema: str, *, worker_id: int, assignments: Sequence[Assignment]
) -> set[tuple[int, int]]:
    """Commits that these suspected jobs begin. Returns those that are still this worker's, by id and attempt."""
    parameters = {
        "worker_id": worker_id,
        "ids": [assignment.id for assignment in assignments],
        "attempts": [assignment.attempt for assignment in assignments],
    }
    rows = connection.execute(statement("begin", schema), parameters).fetchall()
    return {(job_id, attempt) for job_id, attempt in rows}
