"""Changes to rows of `schedules` and `ticks`: keeps the workers' declarations, and serves due ticks."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

import psycopg

from jobq.errors import ScheduleError
from jobq.records import DeclaredSchedule
from jobq.store.database import Connection
from jobq.store.statements import channel, quote_identifier, statement
from jobq.ticks import Due


@dataclass(frozen=True, slots=True)
class Change:
    """A schedule whose declaration differs from its row. `kept` fields are None if it has no row yet."""

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
    """A schedule's next tick, and everything that decides about it."""

    name: str
    expression: str
    timezone: str
    missed: str
    next_at: datetime
    now: datetime
    has_key: bool  # its jobs have a unique key, which an open transaction may hold

    @property
    def seconds(self) -> float:
        return (self.next_at - self.now).total_seconds()


@dataclass(frozen=True, slots=True)
class Firing:
    """A due schedule, and the decision about it."""

    tick: NextTick
    due: Due


@dataclass(frozen=True, slots=True)
class Served:
    """The result of one tick."""

    tick_at: datetime
    verdict: str
    job_id: int | None


@dataclass(frozen=True, slots=True)
class RunByHand:
    """The result of a run out of turn: its job, or the verdict that says why there is none."""

    job_id: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Standing:
    name: str
    expression: str
    timezone: str
    next_at: datetime | None
    paused_at: datetime | None
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
    """Writes the declarations of a worker's code; returns since when. None: the worker was declared dead."""
    row = connection.execute(
        statement("schedule_declare", schema),
        {"worker_id": worker_id, "schedules": json.dumps([asdict(one) for one in schedules]), "since": since},
    ).fetchone()
    return row[0] if row else None


def survey(connection: Connection, schema: str) -> list[Change]:
    """The schedules whose declarations differ from their rows."""
    return [Change(*row) for row in connection.execute(statement("schedule_survey", schema), {}).fetchall()]


def adopt(connection: Connection, schema: str, changes: Sequence[tuple[Change, datetime]]) -> list[str]:
    """Writes declared schedules, each with its next tick; returns those that were written.

    The others have changed since the survey, or are locked. Raises ScheduleError if the database refuses one of them.
    """
    with refusal_explained():
        rows = connection.execute(
            statement("schedule_adopt", schema),
            {
                "names": [change.name for change, _ in changes],
                "expressions": [change.expression for change, _ in changes],
                "timezones": [change.timezone for change, _ in changes],
                "next_ats": [next_at for _, next_at in changes],
                "seen_next_ats": [change.next_at for change, _ in changes],
            },
        ).fetchall()
    return [name for (name,) in rows]


def undeclare(connection: Connection, schema: str) -> list[str]:
    """Marks schedules that no live worker declares any more, and returns them."""
    return [name for (name,) in connection.execute(statement("schedule_undeclare", schema), {}).fetchall()]


def next_ticks(
    connection: Connection, schema: str, *, left_out: Collection[str] = (), limit: int = 100, seed: int = 0
) -> list[NextTick]:
    """The next ticks, the earliest first. Those whose `seconds` are not positive are due.

    The `seed` decides the order of ticks at the same time.
    """
    rows = connection.execute(
        statement("schedule_next", schema), {"left_out": sorted(left_out), "limit": limit, "seed": seed}
    )
    return [NextTick(*row) for row in rows.fetchall()]


def fire(connection: Connection, schema: str, firings: Sequence[Firing]) -> dict[str, list[Served]]:
    """Serves due ticks, by the names of their schedules. Paused ones enqueue nothing.

    Schedules that changed since they were seen, or that another worker serves, are left out. Raises ScheduleError if
    the database refuses one of the jobs: then nothing was served.
    """
    ticks = [
        (firing.tick.name, tick_at, place)
        for firing in firings
        for place, tick_at in enumerate(firing.due.ticks, start=1)
    ]
    with refusal_explained():
        rows = connection.execute(
            statement("schedule_fire", schema),
            {
                "names": [firing.tick.name for firing in firings],
                "expressions": [firing.tick.expression for firing in firings],
                "timezones": [firing.tick.timezone for firing in firings],
                "seen_next_ats": [firing.tick.next_at for firing in firings],
                "next_ats": [firing.due.next_at for firing in firings],
                "served_tos": [max(firing.due.ticks + firing.due.passed) for firing in firings],
                "passed": [len(firing.due.passed) for firing in firings],
                "ticks": [len(firing.due.ticks) for firing in firings],
                "tick_names": [name for name, _, _ in ticks],
                "tick_ats": [tick_at for _, tick_at, _ in ticks],
                "places": [place for _, _, place in ticks],
                "table": jobs_table(schema),
                "channel": channel(schema),
            },
        ).fetchall()
    served: dict[str, list[Served]] = {}
    for name, tick_at, verdict, job_id, _ in rows:
        served.setdefault(name, []).extend([] if tick_at is None else [Served(tick_at, verdict, job_id)])
    return served


def run(connection: Connection, schema: str, *, name: str, run_by: str) -> RunByHand | None:
    """Enqueues a schedule's job now. None: no live worker declares it."""
    row = connection.execute(
        statement("schedule_run", schema),
        {"name": name, "run_by": run_by, "table": jobs_table(schema), "channel": channel(schema)},
    ).fetchone()
    return RunByHand(*row[:2]) if row else None


def standing(connection: Connection, schema: str, names: Sequence[str]) -> list[Standing]:
    """The state of these schedules; unknown ones are left out."""
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
    """Deletes ticks older than this many days, and schedules not declared for as long. 0 keeps all."""
    if days == 0:
        return []
    forgotten = connection.execute(statement("schedule_forget", schema), {"days": days}).fetchall()
    connection.execute(statement("schedule_forget_ticks", schema), {"days": days})
    return [name for (name,) in forgotten]


@contextmanager
def refusal_explained() -> Iterator[None]:
    """The schedule's value is at fault: the database would refuse it again."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ScheduleError(f"the database refuses it: {' '.join(str(error).split())}") from None


def jobs_table(schema: str) -> str:
    return f"{quote_identifier(schema)}.jobs"
