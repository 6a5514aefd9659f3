"""Serves the ticks of schedules: any worker for all of them, each tick once, by the database's clock.

It needs none of the application's code. What a schedule enqueues was told by some child, and is kept in its row; the
supervisor only calculates when the next tick is.
"""

import logging
import random
from datetime import datetime
from time import monotonic

from jobq.errors import ScheduleError
from jobq.records import DeclaredSchedule
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service, jittered
from jobq.schedules import Due, settle, ticks_of
from jobq.store import schedules as store
from jobq.store.database import Connection, Database
from jobq.store.schedules import Change, NextTick

log = logging.getLogger("jobq.worker.scheduler")

LOOK_EVERY_SECONDS = 30.0
"""So often a worker looks whether others declare something new, or are gone; ticks it knows of do not wait for it."""

FORGET_EVERY_SECONDS = 3600.0

CONTENDED_SECONDS = 0.2
"""After losing a tick to another worker, the next look waits about so long: the other may die before it commits."""

SPREAD_SECONDS = 0.05
"""Workers that wake for one tick spread a little, so that most of them find it served."""


class Scheduler(Service):
    name = "schedule"
    keeps_connection = False

    def __init__(self, database: Database, ownership: Ownership) -> None:
        super().__init__(database)
        self.ownership = ownership
        self._declared: tuple[DeclaredSchedule, ...] | None = None
        self._declared_since: datetime | None = None
        self._told_as: int | None = None  # the worker's id under which it was told
        self._survey_at = 0.0
        self._forget_at = 0.0
        self._left_out: set[str] = set()  # schedules that cannot be served here, until the next survey
        self._said: set[tuple[str, str]] = set()

    def tell(self, schedules: tuple[DeclaredSchedule, ...]) -> None:
        """The code of this worker declares these schedules, from now on."""
        self._declared, self._declared_since, self._told_as = schedules, None, None
        self.wake()

    def tick(self, connection: Connection) -> float | None:
        """Says what this worker declares, keeps what all declare, serves what is due, and sleeps until the next one."""
        self._declare(connection)
        if monotonic() >= self._survey_at:
            self._survey(connection)
            self._survey_at = monotonic() + jittered(LOOK_EVERY_SECONDS)
        if monotonic() >= self._forget_at:
            store.forget(connection, self.database.schema, days=self.database.settings.job_history_days)
            self._forget_at = monotonic() + jittered(FORGET_EVERY_SECONDS)
        wait = self._serve(connection)
        return max(0.0, min(wait, self._survey_at - monotonic()))

    def _declare(self, connection: Connection) -> None:
        declared, worker_id = self._declared, self.ownership.worker_id
        if declared is None or self._told_as == worker_id:
            return
        since = store.declare(
            connection, self.database.schema, worker_id=worker_id, schedules=declared, since=self._declared_since
        )
        if since is None or declared is not self._declared:  # declared dead, or told otherwise meanwhile
            return
        self._declared_since, self._told_as = since, worker_id
        self._survey_at = 0.0

    # Keeping what is declared

    def _survey(self, connection: Connection) -> None:
        self._left_out.clear()
        for change in store.survey(connection, self.database.schema):
            try:
                self._adopt(connection, change)
            except ScheduleError as error:
                self._leave_out(change.name, error)
        if self._told_as is None:  # at a restart of all, what nobody declares may be this worker's own
            return
        for name in store.undeclare(connection, self.database.schema):
            log.warning("schedule no longer declared name=%s", name)

    def _adopt(self, connection: Connection, change: Change) -> None:
        next_at = first_tick(change)
        if store.adopt(connection, self.database.schema, change, next_at=next_at):
            log.info(
                "schedule declared name=%s expression=%r timezone=%s next=%s",
                *(change.name, change.expression, change.timezone, next_at.isoformat()),
            )

    # Serving ticks

    def _serve(self, connection: Connection) -> float:
        """Serves what is due; returns the seconds until the next tick."""
        while upcoming := store.next_ticks(connection, self.database.schema, left_out=sorted(self._left_out)):
            due = [tick for tick in upcoming if tick.seconds <= 0]
            if not due:
                return upcoming[0].seconds + random.uniform(0, SPREAD_SECONDS)  # noqa: S311 - no secret
            served = [self._serve_one(connection, tick) for tick in due]
            if not all(served):
                return jittered(CONTENDED_SECONDS)
        return LOOK_EVERY_SECONDS

    def _serve_one(self, connection: Connection, tick: NextTick) -> bool:
        """False: another was at it."""
        try:
            due = settle(
                ticks_of(tick.expression, tick.timezone), missed=tick.missed, next_at=tick.next_at, now=tick.now
            )
            return self._fire(connection, tick, due)
        except ScheduleError as error:
            self._leave_out(tick.name, error)
            return True

    def _fire(self, connection: Connection, tick: NextTick, due: Due) -> bool:
        served = store.fire(connection, self.database.schema, tick, due)
        if served is None:
            return False
        if due.passed:
            log.warning("ticks missed schedule=%s ticks=%s policy=%s", tick.name, len(due.passed), tick.missed)
        for one in served:
            log.info(
                "tick schedule=%s at=%s verdict=%s job=%s", tick.name, one.tick_at.isoformat(), one.verdict, one.job_id
            )
        return True

    def _leave_out(self, name: str, error: ScheduleError) -> None:
        """One schedule that cannot be read, or whose job the database refuses, must not hold the others up."""
        self._left_out.add(name)
        reason = " ".join(str(error).split())
        if (name, reason) not in self._said:
            self._said.add((name, reason))
            log.error("schedule left out name=%s error=%s", name, reason)


def first_tick(change: Change) -> datetime:
    """Where a schedule begins, or goes on after its declaration was changed.

    A tick that is due already is still owed. Otherwise another expression or zone counts from now on, but never from
    before the last tick that was served.
    """
    is_same = (change.expression, change.timezone) == (change.kept_expression, change.kept_timezone)
    if change.next_at is not None and (is_same or change.next_at <= change.now):
        return change.next_at
    return ticks_of(change.expression, change.timezone).after(max(change.now, change.last_at or change.now))
