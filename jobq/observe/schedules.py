"""Reads schedules: their meaning, their due times, and the results of their last ticks."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter

from psycopg.rows import DictRow

from jobq.cron_words import in_words
from jobq.errors import ScheduleError, ScheduleNotFound
from jobq.observe.reading import dicts, now, reading
from jobq.records import ScheduleRecord, TickRecord
from jobq.schedules import Verdict
from jobq.store.database import Database
from jobq.ticks import Ticks, ticks_of

RUNS = 60
"""Number of last ticks that are read for a schedule."""

UPCOMING = 3
PREVIEW_LIMIT = 10_000


def schedules(
    database: Database, names: Sequence[str] | None = None, *, runs: int = RUNS
) -> tuple[ScheduleRecord, ...]:
    """Every schedule, or those named, with their last runs. Raises ScheduleNotFound for an unknown name."""
    with reading(database) as connection:
        parameters = {"names": None if names is None else list(names), "runs": runs}
        rows = dicts(connection, "observe_schedules", database.schema, parameters)
    found = tuple(schedule_record(list(group)) for _, group in groupby(rows, key=itemgetter("name")))
    require_all(database, names or (), {record.name for record in found})
    return found


def require_all(database: Database, names: Sequence[str], found: set[str]) -> None:
    """Raises ScheduleNotFound if one of the names was not found."""
    from difflib import get_close_matches

    for name in names:
        if name not in found:
            known = [record.name for record in schedules(database, runs=0)]
            near = get_close_matches(name, known, n=2, cutoff=0.4)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {len(known)}: see jobq schedules."
            raise ScheduleNotFound(f"There is no schedule {name!r}. {hint}")


@dataclass(frozen=True, slots=True)
class Preview:
    """A future tick."""

    tick_at: datetime
    schedule: str
    job_class: str
    is_paused: bool


def preview(
    database: Database, window: timedelta, names: Sequence[str] | None = None, *, limit: int = PREVIEW_LIMIT
) -> list[Preview]:
    """The ticks within a time from now, in order, up to `limit`."""
    with reading(database) as connection:
        moment = now(connection)
    coming = [coming_ticks(record, moment, moment + window) for record in schedules(database, names, runs=0)]
    return list(islice(heapq.merge(*coming, key=lambda tick: tick.tick_at), limit))


def coming_ticks(record: ScheduleRecord, now: datetime, until: datetime) -> Iterator[Preview]:
    """Ticks still owed come now, as one."""
    if record.next_at is None:
        return
    moment = max(record.next_at, now)
    while moment <= until:
        yield Preview(moment, record.name, record.job_class, record.paused_at is not None)
        try:
            moment = ticks_of(record.expression, record.timezone).after(moment)
        except ScheduleError:
            return


def schedule_record(rows: list[DictRow]) -> ScheduleRecord:
    """One schedule from its rows: one row per tick, or one without."""
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
    """The ticks and the description of an expression. None if this machine cannot read it."""
    try:
        return ticks_of(expression, timezone), in_words(expression)
    except ScheduleError:
        return None, None
