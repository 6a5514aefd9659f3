"""Stored arguments of jobs, secrets included: for loading, never for display."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobq.errors import ArgumentsError, JobNotFound
from jobq.observe.reading import reading, tuples
from jobq.records import MAX_ARGUMENTS_BYTES
from jobq.store.database import Database

PAGE_JOBS = 2000
PAGE_BYTES = 1 << 20
"""Maximum size of stored arguments, which may be compressed."""

FIRST_ID = 1 - (1 << 63)
"""jobq gives positive ids; rows written by hand may have any."""

PAGE_TIMEOUT_MS = 60_000
"""Longer than other looks may take: before a deployment, all queued jobs are read."""

ALONG_THE_KEY = b"SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
"""Without statistics of a queue that has just been filled, PostgreSQL would sort all of it for each page."""


@dataclass(frozen=True, slots=True)
class Stored:
    id: int
    job_class: str
    arguments: str | None  # JSON text; None: too large to be read


@dataclass(frozen=True, slots=True)
class Unfinished:
    """All jobs queued at one moment, page by page."""

    database: Database
    count: int
    last_id: int

    def pages(self) -> Iterator[list[Stored]]:
        after = FIRST_ID - 1
        bounds = {"limit": PAGE_JOBS, "bytes": PAGE_BYTES, "longest": MAX_ARGUMENTS_BYTES, "until": self.last_id}
        while page := read(self.database, "observe_stored", {"after": after, **bounds}):
            yield [Stored(*row) for row in page]
            after = page[-1][0]


def unfinished(database: Database) -> Unfinished:
    """The jobs that are queued now: to check whether the code at hand can load them."""
    ((count, last_id),) = read(database, "observe_stored_extent", {})
    return Unfinished(database, count, last_id)


def stored_arguments(database: Database, job_id: int) -> str:
    """One job's arguments as JSON text, to run it again. Raises JobNotFound, ArgumentsError."""
    with reading(database) as connection:
        rows = tuples(connection, "observe_arguments", database.schema, {"id": job_id, "longest": MAX_ARGUMENTS_BYTES})
    if not rows:
        raise JobNotFound(f"There is no job {job_id} in schema {database.schema!r}.")
    text: str | None = rows[0][0]
    if text is None:
        raise ArgumentsError(f"Job {job_id} cannot be run: its arguments are more than {MAX_ARGUMENTS_BYTES >> 20} MB.")
    return text


def read(database: Database, name: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with reading(database, timeout_ms=PAGE_TIMEOUT_MS) as connection:
        connection.execute(ALONG_THE_KEY)
        return tuples(connection, name, database.schema, parameters)
