"""The jobs that ended in a period, their rate, and the jobs that came in: from the rows of `metrics`, never from the
history.

Incoming jobs are not counted as they come in, since that would slow every enqueue. Their number is the number of ended
jobs plus the growth of the queues: once a minute some worker counts the unfinished jobs of each queue. So "in" are jobs
that were enqueued or retried by hand. It is unknown for a time without workers, and for a queue too long to count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from jobq.filters import Moment
from jobq.histograms import FEW, mean, quantile, unpacked
from jobq.observe.builds import Deploy, deploys
from jobq.observe.reading import dicts, now, reading, time_of
from jobq.states import Outcome
from jobq.store import metrics
from jobq.store.database import Database
from jobq.store.workers import stored_name

POINTS = 72
"""Maximum steps of a chart."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The ended attempts of one queue, class, or both. An attempt is one run of a job; a job ends with its last
    attempt."""

    name: str
    outcomes: Mapping[str, int]  # attempts
    retried: int  # attempts that were followed by another
    waits: tuple[int, ...]  # histograms of seconds, with the bounds of jobq.histograms
    runs: tuple[int, ...]
    longest_wait: float | None = None  # seconds, exactly
    longest_run: float | None = None

    @property
    def attempts(self) -> int:
        return sum(self.outcomes.values())

    @property
    def ended(self) -> int:
        """Jobs that ended, not attempts."""
        return self.attempts - self.retried

    @property
    def failed_attempts(self) -> int:
        """Attempts that raised or were lost. Most of them are retried."""
        return self.outcomes[Outcome.ERRORED] + self.outcomes[Outcome.LOST]

    @property
    def failed_jobs(self) -> int:
        """Jobs that ended errored or lost. Only these outcomes and `deferred` are followed by another attempt, and
        `deferred` always is."""
        return max(0, self.failed_attempts + self.outcomes[Outcome.DEFERRED] - self.retried)

    @property
    def failed_share(self) -> float:
        """The share of the ended jobs that failed: from 0 to 1."""
        return self.failed_jobs / self.ended if self.ended else 0.0

    def wait(self, share: float) -> float | None:
        """This quantile of the seconds from due to begun, accurate to a tenth. None without attempts."""
        return quantile(self.waits, share, self.longest_wait)

    def run(self, share: float) -> float | None:
        """This quantile of the seconds from begun to ended, accurate to a tenth. None without attempts."""
        return quantile(self.runs, share, self.longest_run)

    @property
    def few_waits(self) -> int | None:
        """The number of attempts behind `wait`, if they are few."""
        return few(self.waits)

    @property
    def few_runs(self) -> int | None:
        """The number of attempts behind `run`, if they are few."""
        return few(self.runs)

    @property
    def mean_run(self) -> float | None:
        """The mean seconds of an attempt, roughly. None without attempts."""
        return mean(self.runs)


def few(counts: tuple[int, ...]) -> int | None:
    """The number of counted attempts, if there are some but so few that their 95th percentile is the maximum."""
    return total if 0 < (total := sum(counts)) < FEW else None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chart. `came_in` is None if nothing was counted."""

    at: datetime
    outcomes: Mapping[str, int]
    ended: int
    came_in: int | None
    runs: tuple[int, ...] = ()  # a histogram of seconds
    longest_run: float | None = None

    def run(self, share: float) -> float | None:
        """This quantile of the seconds from begun to ended. None without attempts."""
        return quantile(self.runs, share, self.longest_run)


@dataclass(frozen=True, slots=True)
class QueueFlow:
    """The jobs that came into a queue and left it between its first and its last count in the period; for a queue that
    is younger than the period, since its beginning. None if it was not counted, or was too long to count."""

    name: str
    came_in: int | None
    growth: int | None  # change of its length
    went_out: int  # jobs that ended
    seconds: float  # between the two counts; 0 without two
    unfinished: int | None = None  # the last count


@dataclass(frozen=True, slots=True)
class Period:
    """Everything about one period."""

    since: datetime
    until: datetime
    step_seconds: float
    total: Figures
    queues: tuple[Figures, ...]
    classes: tuple[Figures, ...]
    flows: tuple[QueueFlow, ...]
    steps: tuple[Step, ...]
    deploys: tuple[Deploy, ...] = ()

    @property
    def minutes(self) -> float:
        return (self.until - self.since).total_seconds() / 60


def figures(
    database: Database,
    since: Moment,
    until: Moment | None = None,
    *,
    queue: str | None = None,
    job_class: str | None = None,
) -> Period:
    """The attempts that ended since then, in whole minutes; of one queue or class (by any of its names), if given.

    For older times there are only figures of five minutes or an hour: then the period begins and ends at one of those.
    """
    with reading(database) as connection:
        at = now(connection)
        if job_class is not None:
            job_class = stored_name(connection, database.schema, job_class)
        first, last = whole_spans(
            at,
            time_of(connection, database.schema, since, at),
            None if until is None else time_of(connection, database.schema, until, at),
        )
        step = step_of(last - first, metrics.span_at(first, at))
        asked = {"since": first, "until": last, "queue": queue, "job_class": job_class, "step": step}
        rows = dicts(connection, "observe_metrics", database.schema, asked)
        chart = dicts(connection, "observe_chart", database.schema, asked)
        runs = dicts(connection, "observe_runs", database.schema, asked)
        # Levels belong to queues: the number of waiting jobs of one class is unknown.
        levels = dicts(connection, "observe_levels", database.schema, asked) if job_class is None else []
        came = deploys(connection, database.schema, first, last)
    flows = flows_of(levels, chart, first, step)
    return Period(
        since=first,
        until=min(last, at),
        step_seconds=step,
        total=summed("", rows),
        queues=grouped("queue", rows),
        classes=grouped("job_class", rows),
        flows=flows,
        steps=steps_of(first, last, step, chart, levels, {row["at"]: row for row in runs}),
        deploys=came,
    )


def whole_spans(at: datetime, since: datetime, until: datetime | None) -> tuple[datetime, datetime]:
    last = at if until is None else until
    span = metrics.span_at(last, at)
    return metrics.floor(since, metrics.span_at(since, at)), metrics.floor(last, span) + span


def step_of(length: timedelta, span: timedelta) -> float:
    """Seconds, rounded up to whole spans."""
    return max(1, ceil(length / POINTS / span)) * span.total_seconds()


def summed(name: str, rows: Iterable[dict[str, Any]]) -> Figures:
    listed = list(rows)

    def histogram(column: str) -> tuple[int, ...]:
        return unpacked(sum(int(row[column]) for row in listed))

    def longest(column: str) -> float | None:
        return max((row[column] for row in listed if row[column] is not None), default=None)

    return Figures(
        name=name,
        outcomes={outcome.value: sum(row[outcome.value] for row in listed) for outcome in Outcome},
        retried=sum(row["retried"] for row in listed),
        waits=histogram("waits"),
        runs=histogram("runs"),
        longest_wait=longest("longest_wait"),
        longest_run=longest("longest_run"),
    )


def grouped(column: str, rows: Iterable[dict[str, Any]]) -> tuple[Figures, ...]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return tuple(summed(name, groups[name]) for name in sorted(groups))


def ended_in(row: dict[str, Any]) -> int:
    """The number of jobs, not attempts, that ended."""
    ended: int = sum(row[outcome.value] for outcome in Outcome) - row["retried"]
    return ended


def flows_of(
    levels: list[dict[str, Any]], chart: list[dict[str, Any]], since: datetime, step: float
) -> tuple[QueueFlow, ...]:
    names = sorted({row["queue"] for row in (*levels, *chart)})
    return tuple(
        flow_of(
            name,
            {int((row["taken_at"] - since).total_seconds() // step): row for row in levels if row["queue"] == name},
            {int((row["at"] - since).total_seconds() // step): row for row in chart if row["queue"] == name},
            step,
        )
        for name in names
    )


def flow_of(
    name: str, levels: Mapping[int, dict[str, Any]], chart: Mapping[int, dict[str, Any]], step: float
) -> QueueFlow:
    """Computed from the counts at the beginning of two steps, and the jobs that ended in between."""
    if len(levels) < 2:
        return QueueFlow(name, None, None, 0, 0.0)
    first, last = min(levels), max(levels)
    ended = sum(ended_in(row) for place, row in chart.items() if first <= place < last)
    before, after = levels[first]["unfinished"], levels[last]["unfinished"]
    growth = None if before is None or after is None else after - before
    came_in = None if growth is None else max(0, ended + growth)
    return QueueFlow(name, came_in, growth, ended, (last - first) * step, after)


def steps_of(
    first: datetime,
    last: datetime,
    step: float,
    chart: list[dict[str, Any]],
    levels: list[dict[str, Any]],
    runs: Mapping[datetime, dict[str, Any]],
) -> tuple[Step, ...]:
    steps = []
    at = first
    while at < last:
        end = at + timedelta(seconds=step)
        rows = [row for row in chart if row["at"] == at]
        ended = sum(ended_in(row) for row in rows)
        growth = growth_between(levels, at, end)
        steps.append(
            Step(
                at=at,
                outcomes={outcome.value: sum(row[outcome.value] for row in rows) for outcome in Outcome},
                ended=ended,
                came_in=None if growth is None else max(0, ended + growth),
                runs=unpacked(int(runs[at]["runs"])) if at in runs else (),
                longest_run=runs[at]["longest_run"] if at in runs else None,
            )
        )
        at = end
    return tuple(steps)


def growth_between(levels: list[dict[str, Any]], start: datetime, end: datetime) -> int | None:
    """How much the queues grew from the first count after `start` to the first after `end`."""
    before, after = first_after(levels, start), first_after(levels, end)
    if not before or before.keys() != after.keys():
        return None
    return sum(after.values()) - sum(before.values())


def first_after(levels: list[dict[str, Any]], moment: datetime) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in levels:  # by queue and time
        if row["taken_at"] >= moment and row["queue"] not in found and row["unfinished"] is not None:
            found[row["queue"]] = row["unfinished"]
    return found
