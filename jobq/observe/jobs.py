"""Reads jobs: one with all its attempts, or those that a filter selects, page by page."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import DictRow

from jobq.arguments import value_and_note
from jobq.errors import JobNotFound
from jobq.filters import Filter
from jobq.observe.reading import dicts, read, reading, tuples
from jobq.observe.selection import condition_of, slow_terms
from jobq.records import AttemptRecord, JobDetail, JobRecord, Progress
from jobq.store.database import Connection, Database, default_database
from jobq.store.statements import filtered

SELECT_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended. The next one begins below."""

    id: int
    ended_at: datetime | None = None  # in a list by due time: that time
    place: int | None = None  # in a sorted list: the number of jobs above


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the selected jobs. `slow` are terms that no index serves, if nothing else narrows the search."""

    jobs: tuple[JobRecord, ...]
    next: Position | None  # None: there are no more jobs
    slow: tuple[str, ...] = ()
    looked: int | None = None  # for a search that continues at `next`: the number of jobs it has read
    sorted: int | None = None  # only this number of the newest jobs is sorted; None: all


def list_jobs(database: Database, selection: Filter, *, limit: int = 50, after: Position | None = None) -> Page:
    """A page of the selected jobs, newest first. `after` is where the last page ended.

    Without a state in the filter, unfinished jobs are selected. Raises QueryTooSlow if no index serves the filter and
    the time limit was reached.
    """
    slow = slow_terms(selection)
    with reading(database, slow=slow) as connection:
        rows = page_of(connection, database.schema, "observe", selection, limit + 1, after)
    return page_from([record_of(row) for row in rows], limit, slow)


def longest(database: Database, *, limit: int) -> tuple[JobRecord, ...]:
    """The jobs that have run longest, those first."""
    with reading(database) as connection:
        return tuple(record_of(row) for row in dicts(connection, "observe_longest", database.schema, {"limit": limit}))


def page_from(jobs: Sequence[JobRecord], limit: int, slow: tuple[str, ...] = ()) -> Page:
    """Makes a page from the rows: one more than fit on it was read, if there is a next page."""
    page = tuple(jobs[:limit])
    more = len(jobs) > limit
    return Page(page, Position(page[-1].id, page[-1].ended_at) if more else None, slow)


@dataclass(frozen=True, slots=True)
class Selected:
    """The jobs of an act, fixed: jobs that match later are not included."""

    ids: tuple[int, ...]  # newest first
    classes: tuple[tuple[str, int], ...]  # number of jobs by class, the largest first
    # the last attempt of each job: an act on a later one is refused
    seen: Mapping[int, int] = field(default_factory=dict)


def select(database: Database, selection: Filter, *, progress: Callable[[int], None] | None = None) -> Selected:
    """All selected jobs. `progress` is called with the number found so far."""
    seen: dict[int, int] = {}
    classes: Counter[str] = Counter()
    after: Position | None = None
    while True:
        with reading(database, slow=slow_terms(selection)) as connection:
            rows = page_of(connection, database.schema, "select", selection, SELECT_AT_ONCE, after)
        seen.update((row["id"], row["attempt"]) for row in rows)
        classes.update(row["job_class"] for row in rows)
        if len(rows) < SELECT_AT_ONCE:
            return Selected(tuple(seen), tuple(classes.most_common()), seen)
        if progress is not None:
            progress(len(seen))
        after = Position(rows[-1]["id"], rows[-1]["ended_at"])


def page_of(
    connection: Connection, schema: str, verb: str, selection: Filter, limit: int, after: Position | None
) -> list[DictRow]:
    return read(connection, *statement_of(schema, verb, selection, limit, after))


def statement_of(
    schema: str, verb: str, selection: Filter, limit: int, after: Position | None, floor: Position | None = None
) -> tuple[bytes, dict[str, Any]]:
    """The statement that reads a page, and its parameters. It reads no job below the floor."""
    condition, parameters = condition_of(selection, schema)
    condition, more = above(condition, floor)
    name = STATEMENTS[verb, selection.is_finished]
    parameters |= more | {"limit": limit, "below": after.id if after else None}
    if selection.is_finished:
        parameters["below_time"] = after.ended_at if after else None
    return filtered(name, schema, condition), parameters


def above(condition: str, floor: Position | None) -> tuple[str, dict[str, Any]]:
    """A condition on the jobs of a list down to a place in it."""
    if floor is None:
        return condition, {}
    if floor.ended_at is None:
        return f"{condition} AND id >= %(floor)s::bigint", {"floor": floor.id}
    place = "(%(floor_time)s::timestamptz, %(floor)s::bigint)"
    # The time also stands alone: only by that PostgreSQL can skip the partitions of other days.
    parts = (condition, "ended_at >= %(floor_time)s::timestamptz", f"(ended_at, id) >= {place}")
    return " AND ".join(parts), {"floor": floor.id, "floor_time": floor.ended_at}


STATEMENTS = {
    ("observe", True): "observe_finished",
    ("observe", False): "observe_unfinished",
    ("select", True): "select_finished",
    ("select", False): "select_unfinished",
}
"""Whether jobs are shown or selected, and whether they are finished: two tables, two statements each."""


def show(database: Database, job_id: int) -> JobDetail:
    """One job, with every stored attempt. Raises JobNotFound."""
    require_id(job_id)
    with reading(database) as connection:
        found = dicts(connection, "observe_job", database.schema, {"id": job_id})
        if not found:
            raise not_found(database.schema, job_id)
        attempts = dicts(connection, "observe_attempts", database.schema, {"ids": [job_id], "every": True})
        job = record_of(found[0])
        ((known,),) = tuples(connection, "observe_known", database.schema, {"job_class": job.job_class})
    return JobDetail(job, tuple(map(attempt_of, attempts)), known)


def attempt_of(row: DictRow, *, hidden: tuple[str, ...] = ()) -> AttemptRecord:
    """An attempt from its row, without columns that the role may not read."""
    del row["id"]
    value, note = value_and_note(row.get("value"))
    return AttemptRecord(**{**dict.fromkeys(hidden), **row, "value": value, "value_note": note}, hidden=hidden)


def require_id(job_id: int) -> None:
    if not 0 < job_id < 2**63:
        raise JobNotFound(f"There is no job {job_id}: ids are positive numbers.")


def not_found(schema: str, job_id: int) -> JobNotFound:
    return JobNotFound(
        f"There is no job {job_id} in schema {schema!r}. It may have been purged, or be older than "
        "the history that is kept."
    )


def record_of(row: DictRow) -> JobRecord:
    if row.get("progress"):
        row["progress"] = progress_of(row["progress"], row["attempt"])
    return JobRecord(**row)


MAX_PROGRESS = 1e300
"""Limited so that a share can be calculated. Jobs do not report larger numbers."""


def progress_of(stored: Any, attempt: int) -> Progress | None:
    """The last progress of the current attempt. Progress of an earlier one has no meaning any more.

    None also for values that no worker would write.
    """
    match stored:
        case {"attempt": told, "done": int() | float() as done, "total": int() | float() | None as total,
              "message": str() | None as message, "at": str() as at} if told == attempt:  # fmt: skip
            with suppress(ValueError, OverflowError):
                if max(abs(done), abs(total or 0)) <= MAX_PROGRESS:
                    return Progress(done, total, message, datetime.fromisoformat(at).astimezone(UTC))
    return None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one job, and the return value of its run()."""

    id: int
    outcome: str
    attempt: int
    value: Any
    error_type: str | None
    error_message: str | None
    value_note: str | None = None  # why the value was not stored


def ended(ids: Iterable[int], *, database: Database | None = None) -> dict[int, Ended]:
    """The ended ones of these jobs, by id. By default from the database in which `run_in_worker()` enqueues."""
    database = database or default_database()
    with reading(database) as connection:
        rows = dicts(connection, "observe_ended", database.schema, {"ids": list(ids)})
    found = {}
    for row in rows:
        value, note = value_and_note(row["value"])
        found[row["id"]] = Ended(**{**row, "value": value, "value_note": note})
    return found
