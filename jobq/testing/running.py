"""Runs due jobs: a worker of one call, in the process of the test."""

import asyncio
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from time import monotonic
from typing import Any

from jobq import __version__
from jobq.application import describe, describe_schedules
from jobq.arguments import decoded, value_and_note
from jobq.records import Assignment, ClassRecord, Report
from jobq.registry import registry
from jobq.runtime.ownership import Ownership
from jobq.runtime.scheduler import Scheduler
from jobq.states import Outcome
from jobq.store import gates, jobs, schedules, workers
from jobq.store.claiming import LanePosition, QueuePosition
from jobq.store.database import Connection, default_database, host_name
from jobq.testing.assertions import as_seconds
from jobq.testing.clock import moving, now
from jobq.testing.connections import (
    Lent,
    LentByLoop,
    connected,
    connection_at_hand,
    is_django,
    is_of_loop,
    is_usable,
    on_connection,
)
from jobq.testing.here import run_here
from jobq.testing.rows import rows_of_test
from jobq.testing.savepoints import savepoint

MAX_JOBS = 10_000
"""This many jobs in one call of `run_due_jobs` mean a job that enqueues itself."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that `run_due_jobs` ran, as in the history."""

    id: int
    job_class: str
    attempt: int
    outcome: str
    retried: bool  # another attempt follows, or followed
    value: Any  # the return value of run(), if it was stored
    error_type: str | None
    error_message: str | None
    traceback: str | None
    value_note: str | None = None  # why it was not stored


Until = float | timedelta | datetime | None


def run_due_jobs(
    *,
    until: Until = None,
    limit: int | None = None,
    raise_errors: bool = True,
    with_schedules: bool = False,
    connection: Any = None,
) -> list[Attempt]:
    """Runs due jobs in this process, in the order of service, until none is left. Returns every attempt.

    Jobs that these jobs enqueue run too, and so do retries once their delay is over. The first exception of a job is
    raised unchanged after it was recorded; with `raise_errors=False` it is only in the history.

    `until` lets time pass: seconds or a timedelta from now, or an aware datetime. The clock moves from one scheduled
    job to the next, and each runs at its time (`until=math.inf`: all of them). Without an active `Clock`, the time is
    the real one again afterwards. `limit` is the maximum number of attempts. `with_schedules` declares the schedules of
    the registered classes, from the first such call on, and serves their ticks.

    Jobs are claimed, run and recorded on the `connection`, in its transaction. Default: that of `on_connection`, or
    Django's inside an atomic block, or jobq's own.
    """
    with connected(connection) as found:
        runner = Runner(found, until, with_schedules=with_schedules)
        attempts = runner.run(limit, raise_errors=raise_errors)
    return runner.checked(attempts)


async def run_due_jobs_async(
    *,
    until: Until = None,
    limit: int | None = None,
    raise_errors: bool = True,
    with_schedules: bool = False,
    connection: Any = None,
) -> list[Attempt]:
    """`run_due_jobs` for a test that is a coroutine: the jobs run in a thread, and the test's loop continues meanwhile.

    `connection` may belong to an event loop too: psycopg's AsyncConnection, an AsyncConnection or AsyncSession of
    SQLAlchemy.
    """
    given = connection_at_hand(connection)
    if given is None or not is_of_loop(given):
        run = partial(
            run_due_jobs,
            until=until,
            limit=limit,
            raise_errors=raise_errors,
            with_schedules=with_schedules,
            connection=given,
        )
        return await (asyncio.to_thread(run) if given is None or not is_django(given) else in_thread_of_django(run))
    runner = Runner(LentByLoop(given, asyncio.get_running_loop()), until, with_schedules=with_schedules)
    return runner.checked(await asyncio.to_thread(runner.run, limit, raise_errors=raise_errors))


class Runner:
    """A worker of one call: it claims and records like any worker, and runs the jobs in its own process."""

    def __init__(self, connection: Any, until: Until, *, with_schedules: bool) -> None:
        if isinstance(until, datetime) and until.utcoffset() is None:
            raise ValueError(f"until is the naive datetime {until.isoformat()}: give it a time zone.")
        self._connection = connection
        self._schema = default_database().schema
        self._until = until
        self._with_schedules = with_schedules
        self._held: list[Assignment] = []
        self._lanes: dict[tuple[str, str], LanePosition] = {}  # where gates are entered, by gate and queue
        self._error: BaseException | None = None

    def run(self, limit: int | None, *, raise_errors: bool) -> list[Attempt]:
        with ExitStack() as stack:
            if isinstance(self._connection, Lent):  # the jobs enqueue there too
                stack.enter_context(on_connection(self._connection.given))
            self._time = None if self._until is None else stack.enter_context(moving(self._connection))
            self._seconds_ahead = seconds_from_now(self._connection, self._until)
            stack.enter_context(self._registered())
            return self._run_all(limit, raise_errors=raise_errors)

    def checked(self, attempts: list[Attempt]) -> list[Attempt]:
        """The attempts, unless there is an error to raise. Raised here, so that it is not mistaken for an error of
        jobq's own."""
        if self._error is not None:
            raise self._error
        return attempts

    @contextmanager
    def _registered(self) -> Iterator[None]:
        """Registers as a worker. At the end it returns claimed jobs that did not run, and signs off."""
        self._worker_id = workers.register(
            self._connection,
            self._schema,
            host=host_name(),
            pid=os.getpid(),
            version=__version__,
            processes=1,
            queues=[],
            classes=(classes := gated_classes()),
        )
        if classes:
            gates.declare(self._connection, self._schema, loss_wait_seconds=0.0)
        self._scheduler = self._new_scheduler() if self._with_schedules else None
        try:
            yield
        finally:
            if is_usable(self._connection):
                if self._held:
                    jobs.give_back(self._connection, self._schema, worker_id=self._worker_id, assignments=self._held)
                workers.stop(self._connection, self._schema, worker_id=self._worker_id)

    def _new_scheduler(self) -> Scheduler:
        scheduler = Scheduler(default_database(), Ownership(self._worker_id))
        scheduler.tell(describe_schedules(default_database().settings))
        return scheduler

    def _run_all(self, limit: int | None, *, raise_errors: bool) -> list[Attempt]:
        attempts: list[Attempt] = []
        while limit is None or len(attempts) < limit:
            if len(attempts) >= MAX_JOBS:
                raise AssertionError(
                    f"{MAX_JOBS:,} jobs were run, the last of {attempts[-1].job_class}, and more are due. "
                    "Does one enqueue itself? Give a limit."
                )
            if not self._claim():
                return attempts
            attempt, error = self._run_one()
            attempts.append(attempt)
            if raise_errors and attempt.outcome == Outcome.ERRORED:
                self._error = error
                return attempts
        return attempts

    def _claim(self) -> bool:
        """Claims the next job. If none is due, lets time pass to the next scheduled one."""
        while True:
            if self._scheduler is not None:
                self._scheduler.tick(self._connection)
            promotion = jobs.promote(self._connection, self._schema, worker_id=self._worker_id)
            if (seconds := promotion.next_expiry_seconds) is not None and seconds <= 0:
                jobs.expire(self._connection, self._schema)
            if queues := sorted({*promotion.queues, *promotion.others}):
                self._held = jobs.claim(
                    self._connection,
                    self._schema,
                    worker_id=self._worker_id,
                    positions=[QueuePosition(queue) for queue in queues],
                    classes=known_names(),
                    most=1,
                )
            next_start = None if self._held or not promotion.has_gated else self._claim_through_gates()
            if self._held:
                return True
            if not self._let_time_pass(promotion.next_due_seconds, next_start):
                return False

    def _claim_through_gates(self) -> float | None:
        """Claims the next job that waits at a gate; returns the seconds until a rate lets one start."""
        next_start = None
        for gate, queues in jobs.find_gates(self._connection, self._schema).items():
            positions = [self._lanes.get((gate, queue), LanePosition(queue)) for queue in queues]
            passed = jobs.claim_through(
                self._connection,
                self._schema,
                gate,
                worker_id=self._worker_id,
                positions=positions,
                classes=known_names(),
                most=1,
            )
            if passed is not None:
                self._held = passed.assignments
                self._lanes.update({(gate, position.queue): position for position in passed.positions})
                waits = [wait for wait in (next_start, passed.next_start_seconds) if wait is not None]
                next_start = min(waits, default=None)
            if self._held:
                break
        return next_start

    def _let_time_pass(self, *nexts: float | None) -> bool:
        """Moves the clock to what comes next, or to the end of the time that may pass. False: it has passed."""
        if self._time is None or self._seconds_ahead <= 0:
            return False
        waits = [wait for wait in (*nexts, self._next_tick(), self._seconds_ahead) if wait is not None]
        if (seconds := min(waits)) == math.inf:
            return False
        self._seconds_ahead -= seconds
        self._time.move(self._connection, seconds)
        return True

    def _next_tick(self) -> float | None:
        if self._scheduler is None:
            return None
        ticks = schedules.next_ticks(self._connection, self._schema)
        # A schedule that is still due cannot be served: the scheduler has logged why.
        return next((tick.seconds for tick in ticks if tick.seconds > 0), None)

    def _run_one(self) -> tuple[Attempt, BaseException | None]:
        (assignment,) = self._held
        with savepoint(self._connection), rows_of_test(self._connection):
            report, error = run_here(assignment)
        self._record(report)
        self._held = []
        return attempt_of(assignment, report), error

    def _record(self, report: Report) -> None:
        record = jobs.finish if report.retry_delay is None else jobs.retry
        record(self._connection, self._schema, worker_id=self._worker_id, reports=[report], now=monotonic())


async def in_thread_of_django(run: Callable[[], list[Attempt]]) -> list[Attempt]:
    """Runs in Django's thread for synchronous code: each thread has its own connections."""
    sync_to_async = import_module("asgiref.sync").sync_to_async
    attempts: list[Attempt] = await sync_to_async(run, thread_sensitive=True)()
    return attempts


def gated_classes() -> list[ClassRecord]:
    return [record for record in describe() if record.gate is not None]


def known_names() -> list[str]:
    names = [name for name, _ in registry]
    return [*names, *(alias for name in names for alias in registry.aliases_of(name))]


def attempt_of(assignment: Assignment, report: Report) -> Attempt:
    stored, note = value_and_note(None if report.value is None else json.loads(report.value))
    return Attempt(
        id=report.id,
        job_class=assignment.job_class,
        attempt=report.attempt,
        outcome=report.outcome,
        retried=report.retry_delay is not None,
        value=decoded(stored),
        value_note=note,
        error_type=report.error_type,
        error_message=report.error_message,
        traceback=report.traceback,
    )


def seconds_from_now(connection: Connection, until: Until) -> float:
    if until is None:
        return 0.0
    if isinstance(until, datetime):
        return (until - now(connection)).total_seconds()
    return as_seconds(until)
