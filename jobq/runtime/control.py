"""Exchanges messages between operators and running jobs: stop requests, progress, stacks, owed hooks.

Notifications announce requests, and it also looks from time to time. The supervisor carries them out. The same look
also shows, with no further statement, whether there may be jobs to rescue.
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
from jobq.store.logs import Follow

log = logging.getLogger("jobq.worker.control")

HOOKS_AT_ONCE = 10


@dataclass(slots=True)
class Outbox:
    """Messages of the supervisor that are not in the database yet."""

    progress: dict[int, ProgressReport]  # by job: only the latest counts
    stacks: list[tuple[int, str]]  # the question, the answer
    made: list[int]  # hooks
    left: list[int]

    @classmethod
    def empty(cls) -> "Outbox":
        return cls({}, [], [], [])

    def __bool__(self) -> bool:
        return bool(self.progress or self.stacks or self.made or self.left)


class Control(Service):
    """`on_cancel` gets jobs to stop, `on_stack` jobs whose stack is wanted, `on_hooks` owed calls of hooks.

    `on_follows` gets whose lines somebody follows. `hooks_wanted` says whether there is room for hooks. `on_look` gets,
    at every look, the last heartbeat of each live worker, and whether one has left lately.
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
        on_follows: Callable[[list[Follow]], None],
    ) -> None:
        super().__init__(database)
        self.ownership = ownership
        self.classes: tuple[str, ...] = ()  # those that this worker knows and that have hooks
        self.looked_in_vain_at: float | None = None  # when the last look for owed hooks that found none began
        self._on_cancel = on_cancel
        self._on_stack = on_stack
        self._on_hooks = on_hooks
        self._hooks_wanted = hooks_wanted
        self._on_look = on_look
        self._on_follows = on_follows
        self._is_followed = False
        self._lock = threading.Lock()
        self._outbox = Outbox.empty()
        self._look_at = 0.0

    # Called by the supervisor and the listener

    def look(self) -> None:
        """An operator may want something of this worker."""
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
        """These hooks have not been called, and will not be called here."""
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
        """What cannot be written now is written on the next connection. Writing it twice changes nothing."""
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
        """Progress that the database always refuses is dropped, so that it does not block the rest. Returns the
        progress that is done with: that of a job whose row is locked stays."""
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
        if wanted.follows or self._is_followed:  # also that nobody follows any more
            self._is_followed = bool(wanted.follows)
            self._on_follows(wanted.follows)
        classes = self.classes  # none of them have hooks, or they are not known yet: then nobody has looked
        if classes and self._hooks_wanted():
            hooks = control.take_aborts(connection, schema, worker_id=worker_id, classes=classes, limit=HOOKS_AT_ONCE)
            if hooks:
                self.looked_in_vain_at = None
                self._on_hooks(hooks)
            else:
                self.looked_in_vain_at = now


def look_seconds(settings: Settings) -> float:
    """Seconds, roughly, between two looks for requests to this worker."""
    return min(settings.poll_every, settings.heartbeat_every)
