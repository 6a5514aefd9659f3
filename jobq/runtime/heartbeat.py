"""Reports that the worker is alive, on a thread and a connection that nothing else can block.

It vouches for the last turn of the main loop. If the main loop hangs, it serves no job, however lively its threads are:
then the worker is silent, and others rescue its jobs.
"""

import logging
from collections.abc import Callable
from typing import Any

from jobq.records import ClassRecord
from jobq.runtime.ownership import Ownership
from jobq.runtime.registration import Registration
from jobq.runtime.service import Service, jittered
from jobq.runtime.turns import Turns
from jobq.store import gates, workers
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker")

MIN_HANG_SECONDS = 1.0
"""A main loop hangs if it has not turned for this long and for longer than the time between two heartbeats."""

LOOK_AGAIN_SECONDS = 0.25
"""While it hangs, it is checked this often."""


class Heartbeat(Service):
    """Writes heartbeats. `on_declared_dead` is called when the database no longer knows this worker as alive.

    `on_registered` is called with its new id when it has registered anew. `on_stop_requested` is called at every
    heartbeat with the name of the operator who wants it to stop.
    """

    name = "heartbeat"
    again_seconds = 0.0
    """So it waits in the queue for its locked row all the time, and writes before an observer can call it silent."""

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        turns: Turns,
        registration: Registration,
        status: Callable[[], dict[str, Any]],
        *,
        on_declared_dead: Callable[[int], None],
        on_registered: Callable[[int], None],
        on_stop_requested: Callable[[str], None],
        on_classes_known: Callable[[], None],
    ) -> None:
        super().__init__(database)
        # Well before others run out of patience with workers that had no chance to report.
        self.max_backoff_seconds = min(self.max_backoff_seconds, database.settings.heartbeat_timeout / 4)
        self.lock_seconds = max(MIN_HANG_SECONDS, database.settings.heartbeat_timeout / 4)
        self.max_tick_seconds = self.lock_seconds * 1.5  # after that it has waited for more than a lock
        self.ownership = ownership
        self._turns = turns
        self._registration = registration
        self._status = status
        self._on_declared_dead = on_declared_dead
        self._on_registered = on_registered
        self._on_stop_requested = on_stop_requested
        self._on_classes_known = on_classes_known
        self._classes: tuple[ClassRecord, ...] = ()
        self._news: tuple[ClassRecord, ...] | None = None
        self._hang_seconds = max(MIN_HANG_SECONDS, database.settings.heartbeat_every)
        self._has_told_hang = False

    def tell(self, classes: tuple[ClassRecord, ...]) -> None:
        """Writes into the worker's row which classes it knows."""
        self._news = self._classes = classes
        self.wake()

    def tick(self, connection: Connection) -> float | None:
        if self._is_hanging():
            return LOOK_AGAIN_SECONDS
        if not self.ownership.is_anybody:
            self._register_anew(connection)
        self._beat(connection)
        return jittered(self.database.settings.heartbeat_every * 0.9)

    def _is_hanging(self) -> bool:
        """Logs it once."""
        seconds = self._turns.seconds_since_last
        is_hanging = seconds > self._hang_seconds
        if is_hanging and not self._has_told_hang:
            log.error("the main loop hangs: no heartbeat until it turns again seconds=%.1f", seconds)
        elif self._has_told_hang and not is_hanging:
            log.warning("the main loop turns again")
        self._has_told_hang = is_hanging
        return is_hanging

    def _register_anew(self, connection: Connection) -> None:
        """The main loop gets the new id before anything can be claimed under it."""
        worker_id = self._registration.register(connection, self._classes)
        self._on_registered(worker_id)
        self.ownership.begin_anew(worker_id)

    def _beat(self, connection: Connection) -> None:
        worker_id = self.ownership.worker_id
        pulse = workers.heartbeat(connection, self.database.schema, worker_id=worker_id, status=self._status())
        if pulse is None:
            self._on_declared_dead(worker_id)
        elif pulse.stop_requested_by is not None:
            self._on_stop_requested(pulse.stop_requested_by)
        if (news := self._news) is not None:
            workers.learn_classes(connection, self.database.schema, worker_id=worker_id, classes=news)
            if any(record.gate for record in news):
                gates.declare(connection, self.database.schema, loss_wait_seconds=self.database.settings.cancel_grace)
            self._news = None
            self._on_classes_known()
