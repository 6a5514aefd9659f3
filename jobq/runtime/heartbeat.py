"""Says that the worker is alive, on a thread and a connection that nothing else can hold up."""

from collections.abc import Callable
from typing import Any

from jobq.records import ClassRecord
from jobq.runtime.ownership import Ownership
from jobq.runtime.service import Service, jittered
from jobq.store import workers
from jobq.store.database import Connection, Database


class Heartbeat(Service):
    """Beats; `on_declared_dead` is called when the database no longer knows this worker as alive.

    `on_stop_requested` is called, at every beat, with the name of whoever wants it to stop.
    """

    name = "heartbeat"

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        status: Callable[[], dict[str, Any]],
        *,
        on_declared_dead: Callable[[int], None],
        on_stop_requested: Callable[[str], None],
        on_classes_known: Callable[[], None],
    ) -> None:
        super().__init__(database)
        # Well before the others lose their patience with those who had no chance to report.
        self.max_backoff_seconds = min(self.max_backoff_seconds, database.settings.heartbeat_timeout / 4)
        self.ownership = ownership
        self._status = status
        self._on_declared_dead = on_declared_dead
        self._on_stop_requested = on_stop_requested
        self._on_classes_known = on_classes_known
        self._news: tuple[ClassRecord, ...] | None = None

    def tell(self, classes: tuple[ClassRecord, ...]) -> None:
        """Has the worker's row say which classes it knows."""
        self._news = classes
        self.wake()

    def tick(self, connection: Connection) -> float | None:
        worker_id = self.ownership.worker_id
        pulse = workers.heartbeat(connection, self.database.schema, worker_id=worker_id, status=self._status())
        if pulse is None:
            self._on_declared_dead(worker_id)
        elif pulse.stop_requested_by is not None:
            self._on_stop_requested(pulse.stop_requested_by)
        if (news := self._news) is not None:
            workers.learn_classes(connection, self.database.schema, worker_id=worker_id, classes=news)
            self._news = None
            self._on_classes_known()
        return jittered(self.database.settings.heartbeat_every * 0.9)
