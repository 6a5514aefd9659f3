"""The read model: what the command line and the console show. Reads only, and never for long."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.types.json import set_json_loads

from jobq.arguments import legible
from jobq.errors import JobNotFound, ScheduleError, ScheduleNotFound, UsageError
from jobq.records import (
    AttemptRecord,
    ClassRecord,
    JobDetail,
    JobRecord,
    QueueStats,
    ScheduleRecord,
    Stats,
    TickRecord,
    UnknownClass,
    WorkerRecord,
)
from jobq.schedules import Ticks, Verdict, in_words, ticks_of
from jobq.states import FINISHED, Outcome, State
from jobq.store import jobs
from jobq.store.database import Connection, Database, default_database
from jobq.store.statements import quote_identifier, statement

READ_TIMEOUT_MS = 5000
"""A look must not hold anything up, nor be held up, for longer."""

COUNT_LIMIT = 100_000
"""Unfinished jobs are counted exactly up to here, for each queue; beyond it PostgreSQL's statistics speak."""

RUNS = 60
"""So many of a schedule's last ticks are looked up."""

UPCOMING = 3
PREVIEW_LIMIT = 10_000

OUTCOME_LIMIT = 1_000_000
"""Attempts in the history are counted exactly up to here."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs are meant: every field that is set must fit. `which` is a state, "finished", or None for unfinished.

    `error` is part of an error's type or message. `since` and `until` are when a job was enqueued, or when it ended.
    """

    which: str | None = None
    outcome: str | None = None
    queue: str | None = None
    job_class: str | None = None
    unique_key: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        words = (*State, FINISHED)
        if self.which is not None and self.which not in words:
            raise UsageError(f"There is no state {self.which!r}. States are: {', '.join(words)}.")
        if self.outcome is not None and self.outcome not in tuple(Outcome):
            raise UsageError(f"There is no outcome {self.outcome!r}. Outcomes are: {', '.join(Outcome)}.")
        if self.outcome is not None and self.which != FINISHED:
            raise UsageError("Only finished jobs have an outcome: ask for finished ones.")

    @property
    def is_finished(self) -> bool:
        return self.which == FINISHED

    def parameters(self) -> dict[str, Any]:
        return {
            "state": self.which,
            "outcome": self.outcome,
            "queue": self.queue,
            "job_class": self.job_class,
            "unique_key": self.unique_key,
            "error": None if self.error is None else like(self.error),
            "since": self.since,
            "until": self.until,
        }


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended; the next one begins below."""

    id: int
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    jobs: tuple[JobRecord, ...]
    next: Position | None  # None: there are no more


def stats(database: Database) -> Stats:
    """The state of everything at this moment."""
    with reading(database) as connection:
        schema = database.schema
        queues = queue_stats(connection, schema)
        estimated: set[str] = set()
        outcomes = outcome_counts(connection, schema, estimated)
        pending, scheduled = sum(queue.pending for queue in queues), sum(queue.scheduled for queue in queues)
        if any(queue.pending >= COUNT_LIMIT for queue in queues) or scheduled >= COUNT_LIMIT:
            figures = estimates(connection, schema)
            if any(queue.pending >= COUNT_LIMIT for queue in queues):
                pending = max(pending, figures["pending"])
                estimated.add("pending")
            if scheduled >= COUNT_LIMIT:
                scheduled = max(scheduled, figures["scheduled"])
                estimated.add("scheduled")
        return Stats(
            scheduled=scheduled,
            pending=pending,
            running=sum(queue.running for queue in queues),
            outcomes=outcomes,
            queues=queues,
            workers=worker_records(connection, schema),
            unknown_classes=unknown_records(connection, schema),
            estimated=tuple(sorted(estimated)),
            at=now(connection),
        )


def queues(database: Database) -> tuple[QueueStats, ...]:
    """Every queue that holds something, or that an operator has set something on."""
    with reading(database) as connection:
        return queue_stats(connection, database.schema)


def workers(database: Database) -> tuple[WorkerRecord, ...]:
    """The workers that are not known to have ended."""
    with reading(database) as connection:
        return worker_records(connection, database.schema)


def classes(database: Database) -> tuple[ClassRecord, ...]:
    """The job classes that live workers know, by name; of several versions, that of the youngest worker."""
    with reading(database) as connection:
        rows = connection.execute(statement("observe_classes", database.schema), {}).fetchall()
    known: dict[str, ClassRecord] = {}
    for (entry,) in rows:
        known.setdefault(entry["name"], ClassRecord.from_json(entry))
    return tuple(known[name] for name in sorted(known))


def schedules(
    database: Database, names: Sequence[str] | None = None, *, runs: int = RUNS
) -> tuple[ScheduleRecord, ...]:
    """Every schedule, or those named, with their last runs. Raises ScheduleNotFound for a name that there is not."""
    with reading(database) as connection:
        parameters = {"names": None if names is None else list(names), "runs": runs}
        rows = dicts(connection, "observe_schedules", database.schema, parameters)
    found = tuple(schedule_record(list(group)) for _, group in groupby(rows, key=itemgetter("name")))
    require_all(database, names or (), {record.name for record in found})
    return found


def require_all(database: Database, names: Sequence[str], found: set[str]) -> None:
    """Raises ScheduleNotFound where one of the names is not among those found."""
    from difflib import get_close_matches

    for name in names:
        if name not in found:
            known = [record.name for record in schedules(database, runs=0)]
            near = get_close_matches(name, known, n=2, cutoff=0.4)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {len(known)}: see jobq schedules."
            raise ScheduleNotFound(f"There is no schedule {name!r}. {hint}")


@dataclass(frozen=True, slots=True)
class Preview:
    """One tick that will come."""

    tick_at: datetime
    schedule: str
    job_class: str
    is_paused: bool


def preview(
    database: Database, window: timedelta, names: Sequence[str] | None = None, *, limit: int = PREVIEW_LIMIT
) -> list[Preview]:
    """The ticks that come within a time from now, in their order, up to `limit`."""
    with reading(database) as connection:
        moment = now(connection)
    coming = [coming_ticks(record, moment, moment + window) for record in schedules(database, names, runs=0)]
    return list(islice(heapq.merge(*coming, key=lambda tick: tick.tick_at), limit))


def coming_ticks(record: ScheduleRecord, now: datetime, until: datetime) -> Iterator[Preview]:
    """What is owed from before comes now, as one."""
    if record.next_at is None:
        return
    moment = max(record.next_at, now)
    while moment <= until:
        yield Preview(moment, record.name, record.job_class, record.paused_at is not None)
        try:
            moment = ticks_of(record.expression, record.timezone).after(moment)
        except ScheduleError:
            return


def unknown_classes(database: Database) -> tuple[UnknownClass, ...]:
    """Classes of pending jobs that no live worker knows; none while no worker lives, since then all wait alike."""
    with reading(database) as connection:
        return unknown_records(connection, database.schema)


def show(database: Database, job_id: int) -> JobDetail:
    """One job, with every attempt that is kept. Raises JobNotFound."""
    if not 0 < job_id < 2**63:
        raise JobNotFound(f"There is no job {job_id}: ids are positive numbers.")
    with reading(database) as connection:
        found = records(connection, "observe_job", database.schema, {"id": job_id})
        if not found:
            raise JobNotFound(
                f"There is no job {job_id} in schema {database.schema!r}. It may have been purged, or be older than "
                "the history that is kept."
            )
        attempts = dicts(connection, "observe_attempts", database.schema, {"id": job_id})
        unknown = {entry.job_class for entry in unknown_records(connection, database.schema)}
    return JobDetail(
        job=found[0],
        attempts=tuple(AttemptRecord(**attempt) for attempt in attempts),
        known=found[0].job_class not in unknown,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How one job ended, and what its run() returned."""

    id: int
    outcome: str
    attempt: int
    value: Any
    error_type: str | None
    error_message: str | None


def ended(ids: Iterable[int], *, database: Database | None = None) -> dict[int, Ended]:
    """Those of the jobs that have ended, by id. Without a database, that in which `run_in_worker()` enqueues."""
    database = database or default_database()
    with reading(database) as connection:
        rows = dicts(connection, "observe_ended", database.schema, {"ids": list(ids)})
    return {row["id"]: Ended(**row) for row in rows}


def list_jobs(database: Database, selection: Selection, *, limit: int = 50, after: Position | None = None) -> Page:
    """A page of the selected jobs, newest first; `after` is where the last page ended."""
    parameters = selection.parameters() | {
        "limit": limit + 1,
        "below": after.id if after else None,
        "below_time": after.ended_at if after else None,
    }
    name = "observe_finished" if selection.is_finished else "observe_unfinished"
    with reading(database) as connection:
        found = records(connection, name, database.schema, parameters)
    page = tuple(found[:limit])
    more = len(found) > limit
    return Page(page, Position(page[-1].id, page[-1].ended_at) if more else None)


def pages(database: Database, selection: Selection, *, size: int = 1000) -> Iterator[tuple[JobRecord, ...]]:
    """All selected jobs, a page at a time."""
    after: Position | None = None
    while True:
        page = list_jobs(database, selection, limit=size, after=after)
        if page.jobs:
            yield page.jobs
        if page.next is None:
            return
        after = page.next


# Reading


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    """A connection on which nothing takes long, and nothing is written."""
    database.prepare()
    with database.connection() as connection, connection.transaction():
        connection.execute(f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {READ_TIMEOUT_MS}".encode())
        yield connection


def records(connection: Connection, name: str, schema: str, parameters: dict[str, Any]) -> list[JobRecord]:
    return [JobRecord(**row) for row in dicts(connection, name, schema, parameters)]


def dicts(connection: Connection, name: str, schema: str, parameters: dict[str, Any]) -> list[DictRow]:
    # Not prepared: the plan should know which conditions apply.
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(legible, cursor)
        return cursor.execute(statement(name, schema), parameters, prepare=False).fetchall()


def schedule_record(rows: list[DictRow]) -> ScheduleRecord:
    """One schedule from its rows: one a tick, or one without."""
    kept = rows[0]
    ticks, words = readable(kept["expression"], kept["timezone"])
    upcoming: tuple[datetime, ...] = ()
    if kept["next_at"] is not None and kept["undeclared_at"] is None:
        following = ticks.upcoming(kept["next_at"], most=UPCOMING - 1) if ticks else []
        upcoming = (kept["next_at"], *following)
    return ScheduleRecord(
        **{name: kept[name] for name in SCHEDULE_COLUMNS},
        words=words,
        upcoming=upcoming,
        runs=tuple(tick_record(row) for row in rows if row["tick_at"] is not None),
    )


SCHEDULE_COLUMNS = (
    "name", "job_class", "arguments", "queue", "expression", "timezone", "missed", "overlap", "jitter",
    "undeclared_at", "paused_at", "paused_by",
)  # fmt: skip
TICK_COLUMNS = ("tick_at", "fired_at", "by_hand", "verdict", "passed", "job_id", "started_at", "ended_at")


def tick_record(row: DictRow) -> TickRecord:
    standing = row["standing"] if row["verdict"] == Verdict.ENQUEUED else row["verdict"]
    return TickRecord(**{name: row[name] for name in TICK_COLUMNS}, standing=standing)


def readable(expression: str, timezone: str) -> tuple[Ticks | None, str | None]:
    """The ticks and the words of an expression; none where this machine cannot read it."""
    try:
        return ticks_of(expression, timezone), in_words(expression)
    except ScheduleError:
        return None, None


def queue_stats(connection: Connection, schema: str) -> tuple[QueueStats, ...]:
    rows = dicts(connection, "observe_stats", schema, {"limit": COUNT_LIMIT})
    return tuple(QueueStats(**row) for row in rows)


def outcome_counts(connection: Connection, schema: str, estimated: set[str]) -> dict[str, int]:
    """Attempts by outcome; what went wrong is counted by itself where the whole is too much to count."""
    counts = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    counts |= dict(tuples(connection, "observe_outcomes", schema, {"limit": OUTCOME_LIMIT}))
    if sum(counts.values()) < OUTCOME_LIMIT:
        return counts
    unsuccessful = [outcome.value for outcome in Outcome if outcome is not Outcome.SUCCESSFUL]
    counts |= dict(
        tuples(connection, "observe_unsuccessful", schema, {"outcomes": unsuccessful, "limit": COUNT_LIMIT})
    )
    total = max(estimates(connection, schema)["results"], OUTCOME_LIMIT)
    counts[Outcome.SUCCESSFUL] = total - sum(counts[outcome] for outcome in unsuccessful)
    estimated.update(outcome for outcome in unsuccessful if counts[outcome] >= COUNT_LIMIT)
    estimated.add(Outcome.SUCCESSFUL.value)
    return counts


def estimates(connection: Connection, schema: str) -> dict[str, int]:
    quoted = quote_identifier(schema)
    names = {
        "pending_index": f"{quoted}.jobs_pending",
        "scheduled_index": f"{quoted}.jobs_scheduled",
        "results": f"{quoted}.results",
    }
    (row,) = dicts(connection, "observe_estimates", schema, names)
    return row


def tuples(connection: Connection, name: str, schema: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(statement(name, schema), parameters, prepare=False).fetchall()


def worker_records(connection: Connection, schema: str) -> tuple[WorkerRecord, ...]:
    rows = dicts(connection, "observe_workers", schema, {})
    return tuple(
        WorkerRecord(name=f"{row['host']}/{row['pid']}", **{**row, "queues": tuple(row["queues"])}) for row in rows
    )


def unknown_records(connection: Connection, schema: str) -> tuple[UnknownClass, ...]:
    if not worker_records(connection, schema):
        return ()
    found = jobs.unknown_classes(connection, schema)
    return tuple(UnknownClass(name, count, tuple(queues)) for name, count, queues in found)


def now(connection: Connection) -> datetime:
    ((moment,),) = connection.execute("SELECT statement_timestamp()").fetchall()
    assert isinstance(moment, datetime)
    return moment


def like(part: str) -> str:
    """A pattern for ILIKE that finds the text itself, whatever it holds."""
    escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
