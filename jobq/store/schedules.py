"""What happens to rows of `schedules` and `ticks`: what workers declare is kept, and what is due is served."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

import psycopg

from jobq.errors import ScheduleError
from jobq.records import DeclaredSchedule
from jobq.schedules import Due
from jobq.store.database import Connection
from jobq.store.statements import channel, quote_identifier, statement


@dataclass(frozen=True, slots=True)
class Change:
    """A schedule that is declared otherwise than it is kept; `kept` fields are None where it is not kept yet."""

    name: str
    expression: str
    timezone: str
    kept_expression: str | None
    kept_timezone: str | None
    next_at: datetime | None
    last_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class NextTick:
    """A schedule's next tick, and all that decides what becomes of it."""

    name: str
    expression: str
    timezone: str
    missed: str
    next_at: datetime
    now: datetime

    @property
    def seconds(self) -> float:
        return (self.next_at - self.now).total_seconds()


@dataclass(frozen=True, slots=True)
class Served:
    """What became of one tick."""

    tick_at: datetime
    verdict: str
    job_id: int | None


@dataclass(frozen=True, slots=True)
class RunByHand:
    """What came of a run out of turn: its job, or the verdict that says why there is none."""

    job_id: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Standing:
    name: str
    expression: str
    timezone: str
    next_at: datetime | None
    paused_at: datetime | None
    is_undeclared: bool
    now: datetime

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None


def declare(
    connection: Connection,
    schema: str,
    *,
    worker_id: int,
    schedules: Sequence[DeclaredSchedule],
    since: datetime | None,
) -> datetime | None:
    """Says what a worker's code declares; returns since when. None: the worker was declared dead."""
    row = connection.execute(
        statement("schedule_declare", schema),
        {"worker_id": worker_id, "schedules": json.dumps([asdict(one) for one in schedules]), "since": since},
    ).fetchone()
    return row[0] if row else None


def survey(connection: Connection, schema: str) -> list[Change]:
    """The schedules that are declared otherwise than they are kept."""
    return [Change(*row) for row in connection.execute(statement("schedule_survey", schema), {}).fetchall()]


def adopt(connection: Connection, schema: str, change: Change, *, next_at: datetime) -> bool:
    """Keeps a schedule as it is declared. False: something else has changed since the survey.

    Raises ScheduleError where the database refuses it.
    """
    with refusal_explained():
        row = connection.execute(
            statement("schedule_adopt", schema),
            {
                "name": change.name,
                "expression": change.expression,
                "timezone": change.timezone,
                "next_at": next_at,
                "seen_next_at": change.next_at,
            },
        ).fetchone()
    return row is not None


def undeclare(connection: Connection, schema: str) -> list[str]:
    """Marks schedules that no live worker declares any more, and returns them."""
    return [name for (name,) in connection.execute(statement("schedule_undeclare", schema), {}).fetchall()]


def next_ticks(
    connection: Connection, schema: str, *, left_out: Sequence[str] = (), limit: int = 100
) -> list[NextTick]:
    """The ticks that come next, the earliest first; those whose `seconds` are not positive are due."""
    rows = connection.execute(statement("schedule_next", schema), {"left_out": list(left_out), "limit": limit})
    return [NextTick(*row) for row in rows.fetchall()]


def fire(connection: Connection, schema: str, tick: NextTick, due: Due) -> list[Served] | None:
    """Serves a due tick. None: it is no longer as it was seen, or another is at it. Nothing: the schedule is paused.

    Raises ScheduleError where the database refuses its job.
    """
    with refusal_explained():
        rows = connection.execute(
            statement("schedule_fire", schema),
            {
                "name": tick.name,
                "expression": tick.expression,
                "timezone": tick.timezone,
                "seen_next_at": tick.next_at,
                "next_at": due.next_at,
                "ticks": list(due.ticks),
                "served_to": max(due.ticks + due.passed),
                "passed": len(due.passed),
                "table": jobs_table(schema),
                "channel": channel(schema),
            },
        ).fetchall()
    if not rows:
        return None
    return [Served(*row[:3]) for row in rows if row[0] is not None]


def run(connection: Connection, schema: str, *, name: str, run_by: str) -> RunByHand | None:
    """Enqueues a schedule's job now. None: no live worker declares it."""
    row = connection.execute(
        statement("schedule_run", schema),
        {"name": name, "run_by": run_by, "table": jobs_table(schema), "channel": channel(schema)},
    ).fetchone()
    return RunByHand(*row[:2]) if row else None


def standing(connection: Connection, schema: str, names: Sequence[str]) -> list[Standing]:
    """Where these schedules stand; those that there are not are left out."""
    rows = connection.execute(statement("schedule_standing", schema), {"names": list(names)}).fetchall()
    return [Standing(*row) for row in rows]


def pause(connection: Connection, schema: str, names: Sequence[str], *, paused_by: str) -> list[str]:
    """Pauses schedules; returns those that were not paused before."""
    rows = connection.execute(statement("schedule_pause", schema), {"names": list(names), "paused_by": paused_by})
    return sorted(name for (name,) in rows.fetchall())


def resume(connection: Connection, schema: str, seen: Standing, *, next_at: datetime | None) -> bool:
    """Lets a schedule fire again. False: it was resumed or moved on since it was seen."""
    row = connection.execute(
        statement("schedule_resume", schema), {"name": seen.name, "seen_next_at": seen.next_at, "next_at": next_at}
    ).fetchone()
    return row is not None


def forget(connection: Connection, schema: str, *, days: int) -> list[str]:
    """Forgets ticks that are older than so many days, and schedules not declared for as long; 0 keeps all."""
    if days == 0:
        return []
    forgotten = connection.execute(statement("schedule_forget", schema), {"days": days}).fetchall()
    connection.execute(statement("schedule_forget_ticks", schema), {"days": days})
    return [name for (name,) in forgotten]


@contextmanager
def refusal_explained() -> Iterator[None]:
    """A value that PostgreSQL refuses is the schedule's fault: trying again would be refused again."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ScheduleError(f"the database refuses it: {' '.join(str(error).split())}") from None


def jobs_table(schema: str) -> str:
    return f"{quote_identifier(schema)}.jobs"
