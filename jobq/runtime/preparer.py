"""Prepares claimed jobs that cannot be handed out as they came: loads large arguments, and commits the begin of
suspected jobs.

Both are rare, so its thread and connection are made for the first such job. It is separate from the claimer: PostgreSQL
may take seconds to read a row that was written by hand, and ordinary jobs must not wait for that.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from jobq.records import MAX_ARGUMENTS_BYTES, Assignment, Report
from jobq.runtime.endings import unreadable
from jobq.runtime.locks import AGAIN_SECONDS
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service
from jobq.store import preparing
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker.preparer")

MAX_LOADED_BYTES = 32 << 20
"""Maximum bytes of large arguments in this process, waiting or running. A job with more comes alone."""

Attempt = tuple[int, int]


class Preparer(Service):
    """Loads arguments in the order of ids, as far as there is room for them, and commits begins at once.

    `on_prepared` announces jobs for `take` or `take_begun`. `on_impossible` gets the reports on jobs whose arguments
    are too large to be read.
    """

    name = "prepare"

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        *,
        on_prepared: Callable[[], None],
        on_impossible: Callable[[list[Report]], None],
    ) -> None:
        super().__init__(database)
        self.ownership = ownership
        self._on_prepared = on_prepared
        self._on_impossible = on_impossible
        self._lock = threading.Lock()
        self._is_started = False
        self._unloaded: dict[Attempt, Assignment] = {}
        self._loaded: list[Assignment] = []
        self._bytes: dict[Attempt, int] = {}  # bytes of loaded arguments, for as long as this worker holds the job
        self._to_begin: list[Assignment] = []
        self._begun: list[Assignment] = []

    # Called by the claimers and the supervisor

    def add(self, claimed: Iterable[Assignment]) -> None:
        """Prepares these jobs. Those that have their arguments can be taken at once."""
        with self._lock:
            for assignment in claimed:
                if assignment.arguments:
                    self._loaded.append(assignment)
                else:
                    self._unloaded[assignment.id, assignment.attempt] = assignment
            has_to_load = bool(self._unloaded)
        if has_to_load:
            self._wake_or_start()
        self._on_prepared()

    def begin(self, suspects: Sequence[Assignment]) -> None:
        """Commits that these begin. To be called when nothing else prevents that."""
        with self._lock:
            self._to_begin += suspects
        self._wake_or_start()

    def take(self) -> list[Assignment]:
        """Jobs that became ready since the last call."""
        with self._lock:
            taken, self._loaded = self._loaded, []
        return taken

    def take_begun(self) -> list[Assignment]:
        """Suspects whose begin was committed since the last call."""
        with self._lock:
            begun, self._begun = self._begun, []
        return begun

    def withdraw(self, attempt: Attempt | None = None) -> list[Assignment]:
        """Takes back jobs that are not loaded yet: this attempt, or all."""
        with self._lock:
            found = [attempt] if attempt is not None else list(self._unloaded)
            return [self._unloaded.pop(key) for key in found if key in self._unloaded]

    def drop_all(self) -> None:
        """Forgets everything: the jobs belong to another worker now."""
        with self._lock:
            for waiting in (self._unloaded, self._bytes, self._loaded, self._to_begin, self._begun):
                waiting.clear()

    def recorded(self) -> None:
        """Some jobs have ended: there may be room for the arguments of others."""
        if self._unloaded:
            self.wake()

    @property
    def held(self) -> int:
        """The number of claimed jobs here."""
        return len(self._unloaded) + len(self._loaded)

    def _wake_or_start(self) -> None:
        with self._lock:
            is_first, self._is_started = not self._is_started, True
        if is_first:
            self.start()
        self.wake()

    # In its own thread

    def tick(self, connection: Connection) -> float | None:
        with self._lock:
            chosen = list(self._to_begin)
        # One by one if a row is locked: the others begin.
        if chosen and not self.locks.do(
            connection, "the begin of jobs", lambda: self._commit_begins(connection, chosen)
        ):
            for suspect in chosen if len(chosen) > 1 else ():
                self.locks.do(
                    connection, f"the begin of job {suspect.id}", partial(self._commit_begins, connection, [suspect])
                )
        if self._load(connection):
            return 0.0
        return AGAIN_SECONDS if self._to_begin else None

    def _commit_begins(self, connection: Connection, chosen: list[Assignment]) -> None:
        worker_id = self.ownership.worker_id
        ours = preparing.begin(connection, self.database.schema, worker_id=worker_id, assignments=chosen)
        with self._lock:
            self._to_begin = [one for one in self._to_begin if one not in chosen]
            self._begun += [one for one in chosen if (one.id, one.attempt) in ours]
        self._on_prepared()

    def _load(self, connection: Connection) -> bool:
        """Whether there may be more to load at once."""
        with self._lock:
            waiting = sorted(self._unloaded)
        room = self._room()
        if not waiting or room <= 0:
            return False
        worker_id = self.ownership.worker_id
        found = self._read(connection, worker_id, waiting, room)
        with self._lock:
            for job_id, attempt, arguments in found:
                if arguments is None or (job_id, attempt) not in self._unloaded:
                    continue
                assignment = self._unloaded.pop((job_id, attempt))
                self._loaded.append(assignment._replace(arguments=arguments))
                self._bytes[job_id, attempt] = len(arguments)
        self._refuse([one for one in found if one.arguments is None])
        if not found:  # not ours any more: the heartbeat will find out
            for missing in waiting:
                self.withdraw(missing)
        self._on_prepared()
        return True

    def _room(self) -> int:
        """Bytes that may be loaded now."""
        with self._lock:
            held = self.ownership.held()
            self._bytes = {attempt: size for attempt, size in self._bytes.items() if attempt in held}
            return MAX_LOADED_BYTES - sum(self._bytes.values())

    def _read(
        self, connection: Connection, worker_id: int, waiting: list[Attempt], room: int
    ) -> list[preparing.Loaded]:
        """Reads arguments as far as there is room. If PostgreSQL cannot make a text, the culprit is found one by
        one."""
        for ids in (waiting, waiting[:1]):
            try:
                return preparing.load(
                    connection,
                    self.database.schema,
                    worker_id=worker_id,
                    ids=[job_id for job_id, _ in ids],
                    most_bytes=room,
                    longest=MAX_ARGUMENTS_BYTES,
                )
            except preparing.UNREADABLE as error:
                log.debug("arguments cannot be read jobs=%s error=%s", len(ids), error)
        return [preparing.Loaded(*waiting[0], None)]

    def _refuse(self, impossible: Collection[preparing.Loaded]) -> None:
        """Ends jobs that no worker can run, as errored."""
        reports = [unreadable(assignment) for one in impossible for assignment in self.withdraw((one.id, one.attempt))]
        if reports:
            log.error("arguments are too large to be read; ended as errored jobs=%s", [one.id for one in reports])
            self._on_impossible(reports)
