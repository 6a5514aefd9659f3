"""Watches jobs until they end: one thread per process asks the database, however many callers wait.

The end of a job notifies nobody, so that jobs without waiters cost nothing. The thread looks after 20 ms at first, up
to every second later. It includes all jobs that are nearly due, and ends with the last caller.
"""

import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from weakref import WeakKeyDictionary, ref

from jobq import observe
from jobq.errors import DatabaseBusy, DatabaseReadOnly, DatabaseUnreachable, JobNotFound, JobqError, QueryTooSlow
from jobq.records import AttemptRecord
from jobq.store.database import Database

log = logging.getLogger("jobq")

FIRST_SECONDS = 0.02
MAX_SECONDS = 1.0
GROWTH = 1.5
MAX_IDS = 1000
"""Maximum number of jobs in one statement."""

PASSING = (DatabaseUnreachable, DatabaseBusy, DatabaseReadOnly, QueryTooSlow)
"""Temporary troubles: the wait continues."""

Ending = Future[AttemptRecord | None]
"""The last attempt of a job. None if it had not ended at the deadline."""


@dataclass(eq=False, slots=True)
class Wait:
    """One caller's wait for one job."""

    job_id: int
    deadline: float  # of the monotonic clock
    due: float
    every: float = FIRST_SECONDS
    state: str | None = None  # the job's last known state
    trouble: JobqError | None = None  # with the database, at the last look
    ending: Ending = field(default_factory=Future)

    @property
    def is_answered(self) -> bool:
        return self.ending.done() and not self.ending.cancelled()

    def settle(self, ended: AttemptRecord | None) -> None:
        with suppress(InvalidStateError):  # the caller has gone
            self.ending.set_result(ended)

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.ending.set_exception(error)

    def look_again(self, now: float) -> None:
        """Plans the next look. The last one is at the deadline."""
        if now >= self.deadline:
            self.settle(None)
        self.due = min(now + self.every, self.deadline)
        self.every = min(self.every * GROWTH, MAX_SECONDS)


class Watch:
    """All waiting callers of one database in this process."""

    def __init__(self, database: Database) -> None:
        self._database = ref(database)  # waiting callers hold it
        self._changed = threading.Condition()
        self._waits: set[Wait] = set()
        self._thread: threading.Thread | None = None

    def follow(self, ids: Iterable[int], deadline: float) -> list[Wait]:
        """Starts to wait for jobs. A caller that stops waiting cancels the future."""
        now = monotonic()
        waits = [Wait(job_id, deadline, now) for job_id in ids]
        with self._changed:
            if self._thread is None and waits:
                thread = threading.Thread(target=self._run, name="jobq watch", daemon=True)
                thread.start()
                self._thread = thread
            self._waits.update(waits)
            self._changed.notify()
        return waits

    def _run(self) -> None:
        while True:
            with self._changed:
                self._waits = {wait for wait in self._waits if not wait.ending.done()}
                if not self._waits:
                    self._thread = None
                    return
                pause = min(wait.due for wait in self._waits) - monotonic()
                if pause > 0:
                    self._changed.wait(pause)
                    continue
                waits = self._nearly_due()
            for start in range(0, len(waits), MAX_IDS):
                self._look(waits[start : start + MAX_IDS])

    def _nearly_due(self) -> list[Wait]:
        """The due jobs, and those that would ask soon anyway, so that many waits share their looks."""
        now = monotonic()
        return [wait for wait in self._waits if wait.due - wait.every / 2 <= now]

    def _look(self, waits: list[Wait]) -> None:
        if (database := self._database()) is None:  # … and so nobody waits
            for wait in waits:
                wait.ending.cancel()
            return
        ids = list({wait.job_id for wait in waits})
        try:
            states, ended = observe.look(database, observe.following(database.schema, ids))
        except PASSING as error:
            self._look_again_after(error, waits)
            return
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits, not lost with this thread
            for wait in waits:
                wait.fail(error)
            return
        now = monotonic()
        for wait in waits:
            answer(wait, states.get(wait.job_id), ended.get(wait.job_id), now)

    def _look_again_after(self, trouble: JobqError, waits: list[Wait]) -> None:
        if any(wait.trouble is None for wait in waits):
            log.warning("waiting for jobs goes on, though the database did not answer: %s", trouble)
        now = monotonic()
        for wait in waits:
            wait.trouble = trouble
            wait.look_again(now)


def answer(wait: Wait, state: str | None, ended: AttemptRecord | None, now: float) -> None:
    wait.trouble = None
    if ended is not None:
        wait.settle(ended)
    elif state is None:
        wait.fail(gone(wait))
    else:
        wait.state = state
        wait.look_again(now)


def gone(wait: Wait) -> JobNotFound:
    if wait.state is not None:
        return JobNotFound(f"Job {wait.job_id} is not there any more: it was purged while it was waited for.")
    return JobNotFound(
        f"There is no job {wait.job_id} to wait for. If it was enqueued on a connection of yours, commit that first: "
        "until then no worker sees the job, and after a rollback there is none. Otherwise it was purged, or is older "
        "than the history that is kept."
    )


def watch(database: Database) -> Watch:
    """The watch of a database in this process."""
    global _watches, _pid
    if _pid != os.getpid():  # a fork has no threads, and locks may be held by missing ones
        _watches, _pid = WeakKeyDictionary(), os.getpid()
    if (found := _watches.get(database)) is None:
        found = _watches.setdefault(database, Watch(database))
    return found


_watches: "WeakKeyDictionary[Database, Watch]" = WeakKeyDictionary()
_pid = os.getpid()
