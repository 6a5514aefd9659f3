"""Forecasts when a queue will be empty with a number of processes, and how many it needs to keep up.

The model is a flow. Each queue has an inflow. The processes of a worker are shared as claims share them: queues with
due jobs take turns, job by job. The inflow is that of the last ten minutes. Run times are those of the last week, by
class. The database computes these figures once, for `jobq.wanted_processes()` and for this module.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from jobq.observe.overview import queue_stats, worker_records
from jobq.observe.reading import dicts, reading
from jobq.observe.words import many, spoken
from jobq.queue_choice import works
from jobq.records import WorkerRecord
from jobq.store.database import Database

FIRST_HORIZON = 600.0
MAX_HORIZON = 86400.0
"""A scheduled job counts if it is due before the queue is empty. The first step assumes the first horizon, the second
one the time that came out. The maximum is a day."""

MAX_QUEUES = 50


@dataclass(frozen=True, slots=True)
class Work:
    """What a queue asks of its workers."""

    due: int  # due jobs, including running ones
    backlog_seconds: float  # process time for these, and for jobs that will be due before the queue is empty
    incoming: float  # jobs a second
    usual_seconds: float  # how long one of them takes
    is_paused: bool = False
    most: int | None = None  # maximum number of processes that can work it at once
    held_by: str | None = None  # the reason for that maximum

    @property
    def load(self) -> float:
        """The number of processes that the inflow keeps busy."""
        return self.incoming * self.usual_seconds

    @property
    def job_seconds(self) -> float:
        """How long a job of the backlog takes."""
        return self.backlog_seconds / self.due if self.due and self.backlog_seconds else self.usual_seconds


@dataclass(frozen=True, slots=True)
class Outlook:
    """Seconds until no job of the queue waits, with this number of processes. None: never."""

    processes: int
    empty_in: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    queue: str
    due: int
    incoming_per_minute: float
    processes: int  # of the live workers that work it
    outlooks: tuple[Outlook, ...]  # with these processes, and with others
    keep_up: int  # the number of processes that the inflow keeps busy
    is_paused: bool = False
    most: int | None = None  # more processes than this do not help
    held_by: str | None = None  # the reason for that maximum

    @property
    def text(self) -> str:
        """`empty in 41 minutes with these 24 processes, in 14 minutes with 48; needs 31 to keep up`."""
        if self.is_paused:
            return f"paused: {many(self.due, 'job')} stay{'s' if self.due == 1 else ''}"
        more = f"; more do not help: {self.held_by} is full" if self.held_by and self.is_held else ""
        needs = f"; needs {self.keep_up:,} to keep up" if self.keep_up else ""
        return "; ".join(self._parts()) + needs + more

    @property
    def is_held(self) -> bool:
        return self.most is not None and self.outlooks[-1].processes >= self.most

    def _parts(self) -> Iterable[str]:
        if not self.due:
            yield "empty"
            return
        ends = [one for one in self.outlooks if one.empty_in is not None]
        if not self.processes:
            yield "no worker works it"
        elif never := [one for one in self.outlooks if one.empty_in is None]:
            yield f"never empty with {never[-1].processes:,} process{'' if never[-1].processes == 1 else 'es'}"
        if ends:
            these = "these " if ends[0].processes == self.processes else ""
            first, *others = ends
            text = f"empty in {spoken(first.empty_in or 0.0)} with {these}{many(first.processes, 'process')}"
            yield ", ".join([text, *(f"in {spoken(one.empty_in or 0.0)} with {one.processes:,}" for one in others)])


def forecasts(
    database: Database, names: Sequence[str] | None = None, *, processes: int | None = None
) -> tuple[Forecast, ...]:
    """Forecasts for these queues, or for all that hold jobs: with the current number of processes, and with `processes`
    or twice the current number."""
    first = read_work(database, names, FIRST_HORIZON)
    horizon = max((seconds for name in first.work for seconds in first.horizons(name, processes)), default=0.0)
    seen = first if horizon <= FIRST_HORIZON else read_work(database, names, min(horizon, MAX_HORIZON))
    return tuple(seen.forecast(name, processes) for name in seen.asked)


@dataclass(frozen=True, slots=True)
class Seen:
    """The queues, and the live workers that work them."""

    asked: tuple[str, ...]
    work: Mapping[str, Work]
    workers: tuple[WorkerRecord, ...]

    def forecast(self, name: str, wanted: int | None = None) -> Forecast:
        work, own = self.work[name], [worker for worker in self.workers if works(worker.queues, name)]
        processes = sum(worker.processes for worker in own)
        numbers = [processes, wanted if wanted is not None else 2 * processes or 1]
        beside = {
            other: self.work[other]
            for other in self.work
            if other != name and any(works(worker.queues, other) for worker in own)
        }
        return Forecast(
            queue=name,
            due=work.due,
            incoming_per_minute=work.incoming * 60,
            processes=processes,
            outlooks=tuple(
                Outlook(number, seconds_to_empty(work, number, tuple(beside.values())))
                for number in dict.fromkeys(numbers)
                if number
            ),
            keep_up=ceil(round(work.load, 3)),
            is_paused=work.is_paused,
            most=work.most,
            held_by=work.held_by,
        )

    def horizons(self, name: str, wanted: int | None) -> list[float]:
        return [one.empty_in or 0.0 for one in self.forecast(name, wanted).outlooks]


def read_work(database: Database, names: Sequence[str] | None, horizon: float) -> Seen:
    with reading(database) as connection:
        held = [queue.name for queue in queue_stats(connection, database.schema)]
        asked = held[:MAX_QUEUES] if names is None else list(names)
        everything = list(dict.fromkeys([*asked, *held]))[:MAX_QUEUES]
        rows = dicts(connection, "observe_work", database.schema, {"queues": everything, "within": horizon})
        alive = tuple(one for one in worker_records(connection, database) if not one.is_silent)
    return Seen(tuple(asked), {row["queue"]: work_of(row) for row in rows}, alive)


def work_of(row: Mapping[str, Any]) -> Work:
    """Jobs at gates are part of the work. If there are no others, no more processes help than the gates' limits."""
    is_all_gated = row["gated"] > 0 and row["due"] == 0 and row["gated_limit"] is not None
    return Work(
        due=row["due"] + row["gated"],
        backlog_seconds=row["backlog_seconds"] + row["gated"] * row["usual_seconds"],
        incoming=row["incoming"],
        usual_seconds=row["usual_seconds"],
        is_paused=row["is_paused"],
        most=row["gated_limit"] if is_all_gated else None,
        held_by=f"gate {row['gate']}" if is_all_gated else None,
    )


# The flow. Pure.


@dataclass(slots=True)
class Pool:
    """One queue in the flow: its waiting jobs, its inflow, and the seconds that a job takes."""

    jobs: float
    incoming: float
    seconds: float
    most: float

    @property
    def load(self) -> float:
        return self.incoming * self.seconds


def seconds_to_empty(work: Work, processes: int, beside: Sequence[Work] = ()) -> float | None:
    """Seconds until no job of it waits, if the processes also work the queues `beside` it. None: never."""
    own = pool_of(work)
    if work.is_paused or processes <= 0:
        return None if work.due else 0.0
    if not own.jobs:
        return 0.0
    pools = [own, *(pool_of(other) for other in beside if not other.is_paused)]
    passed = 0.0
    while own.jobs > 0:
        seconds = next_empty(pools, processes)
        if seconds == inf:
            return None
        flow(pools, processes, seconds)
        passed += seconds
    return max(passed, min(own.seconds, work.backlog_seconds))  # no job is faster for more processes


def pool_of(work: Work) -> Pool:
    seconds = max(work.job_seconds, 1e-6)
    return Pool(work.backlog_seconds / seconds, work.incoming * work.usual_seconds / seconds, seconds,
                inf if work.most is None else float(work.most))  # fmt: skip


def rates(pools: Sequence[Pool], processes: float) -> list[float]:
    """Jobs a second that leave each queue. Empty queues first get enough for their inflow; the others take turns."""
    waiting = [pool for pool in pools if pool.jobs > 0]
    left = max(0.0, processes - sum(pool.load for pool in pools if pool.jobs <= 0))
    turn = left / sum(pool.seconds for pool in waiting) if waiting else 0.0
    return [min(turn, pool.most / pool.seconds) if pool.jobs > 0 else pool.incoming for pool in pools]


def next_empty(pools: Sequence[Pool], processes: float) -> float:
    """Seconds until the next queue is empty. Infinite if none ever is."""
    return min(
        (
            pool.jobs / (rate - pool.incoming)
            for pool, rate in zip(pools, rates(pools, processes), strict=True)
            if pool.jobs > 0 and rate > pool.incoming * (1 + 1e-9)
        ),
        default=inf,
    )


def flow(pools: Sequence[Pool], processes: float, seconds: float) -> None:
    for pool, rate in zip(pools, rates(pools, processes), strict=True):
        if pool.jobs > 0:
            left = pool.jobs - (rate - pool.incoming) * seconds
            pool.jobs = left if left > 1e-6 else 0.0
