"""Carries word between operators and running jobs: requests to stop, progress, stacks, hooks that are owed.

Hears of a request by notification, and asks by itself from time to time. What it hears the supervisor does. With the
same look, at the price of no statement more, it sees whether there may be jobs to rescue.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from jobq.records import Assignment
from jobq.runtime.locks import AGAIN_SECONDS
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service, jittered
from jobq.settings import Settings
from jobq.store import control
from jobq.store.control import CancelRequest, ProgressReport, StackRequest
from jobq.store.database import Connection, Database
from jobq.store.jobs import is_lock_timeout, is_refusal_of_data

log = logging.getLogger("jobq.worker.control")

HOOKS_AT_ONCE = 10


@dataclass(slots=True)
class Outbox:
    """What the supervisor has to say, until it is in the database."""

    progress: dict[int, ProgressReport]  # by job: only the last word counts
    stacks: list[tuple[int, str]]  # the question, the answer
    made: list[int]  # hooks
    left: list[int]

    @classmethod
    def empty(cls) -> "Outbox":
        return cls({}, [], [], [])

    def __bool__(self) -> bool:
        return bool(self.progress or self.stacks or self.made or self.left)


class Control(Service):
    """`on_cancel` gets what is to be stopped, `on_stack` what is asked, `on_hooks` calls that are owed.

    `hooks_wanted` says whether there is room for those. `on_look` is told, at every look, when each live worker
    was heard of last, and whether one has left of late.
    """

    name = "control"

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        *,
        on_cancel: Callable[[list[CancelRequest]], None],
        on_stack: Callable[[list[StackRequest]], None],
        on_hooks: Callable[[list[Assignment]], None],
        hooks_wanted: Callable[[], bool],
        on_look: Callable[[Mapping[int, float], bool], None],
    ) -> None:
        super().__init__(database)
        self.ownership = ownership
        self.classes: tuple[str, ...] = ()  # those that this worker knows and that have hooks
        self.looked_in_vain_at: float | None = None  # when the last look for owed hooks began that found none
        self._on_cancel = on_cancel
        self._on_stack = on_stack
        self._on_hooks = on_hooks
        self._hooks_wanted = hooks_wanted
        self._on_look = on_look
        self._lock = threading.Lock()
        self._outbox = Outbox.empty()
        self._look_at = 0.0

    # Called by the supervisor and the listener

    def look(self) -> None:
        """Somebody may want something of this worker."""
        self._look_at = 0.0
        self.wake()

    def tell_progress(self, said: Sequence[tuple[int, int, Any]]) -> None:
        with self._lock:
            for job_id, attempt, progress in said:
                self._outbox.progress[job_id] = ProgressReport(job_id, attempt, json.dumps(progress))
        self.wake()

    def answer(self, request_ids: Sequence[int], stack: str) -> None:
        with self._lock:
            self._outbox.stacks += [(request_id, stack) for request_id in request_ids]
        self.wake()

    def made(self, hook_ids: Sequence[int]) -> None:
        """These hooks have been called."""
        with self._lock:
            self._outbox.made += hook_ids
        self.look()

    def leave(self, hook_ids: Sequence[int]) -> None:
        """These hooks have not been called, and will not be here."""
        with self._lock:
            self._outbox.left += hook_ids
        self.wake()

    @property
    def has_to_write(self) -> bool:
        return bool(self._outbox)

    # In its own thread

    def tick(self, connection: Connection) -> float | None:
        self._write(connection)
        now = monotonic()
        if now >= self._look_at:
            self._look_at = now + jittered(look_seconds(self.database.settings))
            self._look(connection, now)
        wait = max(0.0, self._look_at - monotonic())
        return min(wait, AGAIN_SECONDS) if self._outbox else wait

    def _write(self, connection: Connection) -> None:
        """What cannot be written now is written with the next connection; to write it twice changes nothing."""
        outbox, schema, worker_id = self._outbox, self.database.schema, self.ownership.worker_id
        with self._lock:
            progress, stacks = list(outbox.progress.values()), outbox.stacks[:]
            made, left = outbox.made[:], outbox.left[:]
        progress = self._store_progress(connection, progress) if progress else []
        if not self.locks.do(connection, "answers to operators", lambda: self._answer(connection, stacks)):
            stacks = []
        if made and not self.locks.do(
            connection, "hooks", lambda: control.made_aborts(connection, schema, worker_id=worker_id, ids=made)
        ):
            made = []
        if left and not self.locks.do(
            connection, "hooks", lambda: control.leave_aborts(connection, schema, worker_id=worker_id, ids=left)
        ):
            left = []
        with self._lock:
            for report in progress:
                if outbox.progress.get(report.job_id) is report:
                    del outbox.progress[report.job_id]
            del outbox.stacks[: len(stacks)], outbox.made[: len(made)], outbox.left[: len(left)]

    def _answer(self, connection: Connection, stacks: list[tuple[int, str]]) -> None:
        for request_id, stack in stacks:
            control.answer_stack(connection, self.database.schema, request_id=request_id, stack=stack)

    def _store_progress(self, connection: Connection, progress: list[ProgressReport]) -> list[ProgressReport]:
        """Progress that the database would refuse again and again is none, and does not cost others theirs. Returns
        what is done with: the progress of a job whose row is locked waits."""
        try:
            control.store_progress(
                connection, self.database.schema, worker_id=self.ownership.worker_id, reports=progress
            )
        except Exception as error:
            is_locked = is_lock_timeout(error)
            if not is_locked and not is_refusal_of_data(error):
                raise
            if len(progress) > 1:
                return [done for report in progress for done in self._store_progress(connection, [report])]
            if is_locked:
                self.locks.tell("the progress of a job")
                return []
            log.warning("progress could not be stored error=%s", " ".join(str(error).split()))
        return progress

    def _look(self, connection: Connection, now: float) -> None:
        schema, worker_id = self.database.schema, self.ownership.worker_id
        wanted = control.wanted(connection, schema, worker_id=worker_id)
        if wanted.to_stop:
            self._on_cancel(wanted.to_stop)
        if wanted.stacks:
            self._on_stack(wanted.stacks)
        self._on_look(wanted.beats, wanted.has_left)
        classes = self.classes  # none of them have hooks, or they are not known yet: then nobody has looked
        if classes and self._hooks_wanted():
            hooks = control.take_aborts(connection, schema, worker_id=worker_id, classes=classes, limit=HOOKS_AT_ONCE)
            if hooks:
                self.looked_in_vain_at = None
                self._on_hooks(hooks)
            else:
                self.looked_in_vain_at = now


def look_seconds(settings: Settings) -> float:
    """About how often a worker looks for what is wanted of it."""
    return min(settings.poll_every, settings.heartbeat_every)
