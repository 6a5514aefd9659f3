"""Serves the ticks of schedules. Any worker serves all schedules, each tick once, by the database's clock.

It needs none of the application's code. A child reported the job that a schedule enqueues, and the schedule's row keeps
it. The supervisor only calculates the next tick.

Hundreds of schedules take a few statements. A schedule that the database refuses, or whose key an open transaction
holds, is skipped for a while, and does not delay the others.
"""

import logging
import math
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from time import monotonic
from typing import TypeVar

from jobq.errors import ScheduleError
from jobq.records import DeclaredSchedule
from jobq.runtime.locks import AGAIN_SECONDS
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service, jittered
from jobq.store import schedules as store
from jobq.store.database import Connection, Database
from jobq.store.jobs import is_lock_timeout
from jobq.store.schedules import Change, Firing, NextTick, Served
from jobq.ticks import Due, settle, ticks_of

log = logging.getLogger("jobq.worker.scheduler")

Item = TypeVar("Item")

LOOK_EVERY_SECONDS = 30.0
"""Seconds between two looks for new or vanished declarations of others; known ticks do not wait for it."""

FORGET_EVERY_SECONDS = 3600.0

CONTENDED_SECONDS = 0.2
"""After losing a tick to another worker, the next look comes after about this time: the other may die before it
commits."""

SPREAD_SECONDS = 0.05
"""Workers that wake for one tick spread over this time, so that most of them find it served."""


MAX_AT_ONCE = 500
"""Maximum number of schedules for one statement, and roughly of the jobs that it enqueues: it locks their rows
meanwhile."""

LOCK_SECONDS = 0.2
"""Seconds to wait for an open transaction that may have enqueued a job with a schedule's unique key: the other
schedules wait meanwhile."""

LOCKED_AGAIN_SECONDS = 5.0
"""After this time a schedule whose key was locked is tried again."""

MAX_LOCK_WAITS = 10
"""Locks are waited for this many times before the ticks that no lock can delay have another turn."""

MAX_LOGGED = 50
"""If more schedules are declared at once, only their number is logged."""


class Scheduler(Service):
    name = "schedule"
    keeps_connection = False
    lock_seconds = LOCK_SECONDS
    walks_indexes = False

    def __init__(self, database: Database, ownership: Ownership) -> None:
        super().__init__(database)
        self.ownership = ownership
        self._declared: tuple[DeclaredSchedule, ...] | None = None
        self._declared_since: datetime | None = None
        self._told_as: int | None = None  # the worker's id under which it was declared
        self._survey_at = 0.0
        self._forget_at = 0.0
        self._seed = random.getrandbits(62)  # for its order of ticks of the same time
        self._left_out: dict[str, float] = {}  # skipped schedules, and until when
        self._lock_waits = 0
        self._said: set[tuple[str, str]] = set()

    def tell(self, schedules: tuple[DeclaredSchedule, ...]) -> None:
        """The code of this worker declares these schedules from now on."""
        self._declared, self._declared_since, self._told_as = schedules, None, None
        self.wake()

    def tick(self, connection: Connection) -> float | None:
        """Writes this worker's declarations, serves due ticks, keeps all declarations, and sleeps until the next
        tick."""
        is_declared = self.locks.do(connection, "what this worker declares", lambda: self._declare(connection))
        wait = self._serve(connection)
        if monotonic() >= self._survey_at:
            self._survey_at = monotonic() + jittered(LOOK_EVERY_SECONDS)
            self.locks.do(connection, "the survey of schedules", lambda: self._survey(connection))
            wait = self._serve(connection)
        if monotonic() >= self._forget_at:
            self._forget_at = monotonic() + jittered(FORGET_EVERY_SECONDS)
            days = self.database.settings.job_history_days
            self.locks.do(connection, "old ticks", lambda: store.forget(connection, self.database.schema, days=days))
        wait = min(wait, self._survey_at - monotonic())
        return max(0.0, wait if is_declared else min(wait, AGAIN_SECONDS))

    def _declare(self, connection: Connection) -> None:
        declared, worker_id = self._declared, self.ownership.worker_id
        if declared is None or self._told_as == worker_id:
            return
        since = store.declare(
            connection, self.database.schema, worker_id=worker_id, schedules=declared, since=self._declared_since
        )
        if since is None or declared is not self._declared:  # declared dead, or changed meanwhile
            return
        self._declared_since, self._told_as = since, worker_id
        self._survey_at = 0.0

    # Keeping declarations

    def _survey(self, connection: Connection) -> None:
        self._left_out = {name: until for name, until in self._left_out.items() if until < math.inf}
        changes = []
        for change in store.survey(connection, self.database.schema):
            try:
                changes.append((change, first_tick(change)))
            except ScheduleError as error:
                self._leave_out(change.name, error)
        if changes:
            self._adopt(connection, changes)
        if self._told_as is None:  # at a restart of all workers, an undeclared schedule may be this worker's own
            return
        for name in store.undeclare(connection, self.database.schema):
            log.warning("schedule no longer declared name=%s", name)

    def _adopt(self, connection: Connection, changes: Sequence[tuple[Change, datetime]]) -> None:
        """Keeps these. If the database refuses one, keeps halves of them, down to the culprit."""
        try:
            with self.locks.limited(connection):
                kept = set(store.adopt(connection, self.database.schema, changes))
        except ScheduleError as error:
            if len(changes) == 1:
                self._leave_out(changes[0][0].name, error)
                return
            for half in halves(changes):
                self._adopt(connection, half)
        except Exception as error:
            if not is_lock_timeout(error):
                raise
            self._survey_at = monotonic() + jittered(CONTENDED_SECONDS)  # another worker keeps the same ones now
        else:
            log_declared([(change, next_at) for change, next_at in changes if change.name in kept])

    # Serving ticks

    def _serve(self, connection: Connection) -> float:
        """Serves due ticks, the oldest first. Returns the seconds until the next tick.

        Each schedule has one turn, so that one that another worker is serving does not delay those behind it.
        """
        self._lock_waits = 0
        self._left_out = {name: until for name, until in self._left_out.items() if until > monotonic()}
        passed_over: set[str] = set()
        while upcoming := self._look(connection, passed_over):
            due = [tick for tick in upcoming if tick.seconds <= 0]
            if not due:
                break
            passed_over |= {tick.name for tick in due} - self._serve_all(connection, due) - self._left_out.keys()
        if passed_over:
            return jittered(CONTENDED_SECONDS)
        if not upcoming:
            return self._seconds_until_tried_again()
        spread = random.uniform(0, SPREAD_SECONDS)  # noqa: S311 - no secret
        return min(upcoming[0].seconds + spread, self._seconds_until_tried_again())

    def _look(self, connection: Connection, passed_over: set[str]) -> list[NextTick]:
        left_out = {*passed_over, *self._left_out}
        return store.next_ticks(connection, self.database.schema, left_out=left_out, limit=MAX_AT_ONCE, seed=self._seed)

    def _seconds_until_tried_again(self) -> float:
        return max(0.0, min(self._left_out.values(), default=math.inf) - monotonic())

    def _serve_all(self, connection: Connection, due: Sequence[NextTick]) -> set[str]:
        """Serves due ticks, first those that no key can delay. Returns the names of the schedules."""
        firings = []
        for tick in sorted(due, key=lambda tick: tick.has_key):
            try:
                due_now = settled(tick.expression, tick.timezone, tick.missed, tick.next_at, tick.now)
            except ScheduleError as error:
                self._leave_out(tick.name, error)
            else:
                firings.append(Firing(tick, due_now))
        served: set[str] = set()
        for batch in batches(firings):
            served |= self._fire(connection, batch)
        return served

    def _fire(self, connection: Connection, firings: Sequence[Firing]) -> set[str]:
        """Serves these. If the database refuses one, or its key is locked, serves halves of them, down to the
        culprit."""
        try:
            with self.locks.limited(connection):
                served = store.fire(connection, self.database.schema, firings)
        except Exception as error:
            is_locked = is_lock_timeout(error)
            if not is_locked and not isinstance(error, ScheduleError):
                raise
            self._lock_waits += is_locked
            if len(firings) == 1:
                until = monotonic() + LOCKED_AGAIN_SECONDS if is_locked else math.inf
                self._leave_out(firings[0].tick.name, LOCKED if is_locked else error, until=until)
                return set()
            if is_locked and self._lock_waits >= MAX_LOCK_WAITS:
                return set()
            first, second = halves(firings)
            return self._fire(connection, first) | self._fire(connection, second)
        for firing in firings:
            if firing.tick.name in served:
                log_served(firing, served[firing.tick.name])
        return set(served)

    def _leave_out(self, name: str, reason: Exception | str, *, until: float = math.inf) -> None:
        """Skips one schedule that cannot be read, or whose job the database refuses, so that it does not delay the
        others.

        Until the next survey, by default.
        """
        self._left_out[name] = until
        text = " ".join(str(reason).split())
        if (name, text) not in self._said:
            self._said.add((name, text))
            log.error("schedule left out name=%s error=%s", name, text)


LOCKED = "an open transaction holds its unique key, or its row: it is tried again every few seconds"


def halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


def batches(firings: Sequence[Firing]) -> Iterator[list[Firing]]:
    """Parts of about this many jobs at most. Schedules with a unique key are kept apart from the others."""
    batch: list[Firing] = []
    size = 0
    for firing in firings:
        if batch and (size >= MAX_AT_ONCE or firing.tick.has_key != batch[0].tick.has_key):
            yield batch
            batch, size = [], 0
        batch.append(firing)
        size += len(firing.due.ticks)
    if batch:
        yield batch


@lru_cache(maxsize=4096)
def settled(expression: str, timezone: str, missed: str, next_at: datetime, now: datetime) -> Due:
    """What to do about a due schedule. Thousands of them may be alike."""
    return settle(ticks_of(expression, timezone), missed=missed, next_at=next_at, now=now)


@lru_cache(maxsize=4096)
def tick_after(expression: str, timezone: str, moment: datetime) -> datetime:
    return ticks_of(expression, timezone).after(moment)


def first_tick(change: Change) -> datetime:
    """Where a schedule begins, or continues after its declaration changed.

    A tick that is due already is still owed. Otherwise another expression or zone counts from now on, but never from
    before the last tick that was served.
    """
    is_same = (change.expression, change.timezone) == (change.kept_expression, change.kept_timezone)
    if change.next_at is not None and (is_same or change.next_at <= change.now):
        return change.next_at
    return tick_after(change.expression, change.timezone, max(change.now, change.last_at or change.now))


def log_declared(kept: Sequence[tuple[Change, datetime]]) -> None:
    if len(kept) > MAX_LOGGED:
        log.info("schedules declared count=%s", len(kept))
        return
    for change, next_at in kept:
        log.info(
            "schedule declared name=%s expression=%s timezone=%s next=%s",
            *(change.name, change.expression, change.timezone, next_at.isoformat()),
        )


def log_served(firing: Firing, served: Sequence[Served]) -> None:
    name, passed = firing.tick.name, firing.due.passed
    if passed:
        log.warning("ticks missed schedule=%s ticks=%s policy=%s", name, len(passed), firing.tick.missed)
    for one in served:
        log.info("tick schedule=%s at=%s verdict=%s job=%s", name, one.tick_at.isoformat(), one.verdict, one.job_id)
