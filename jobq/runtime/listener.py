"""Listens for notifications: a hint that something was enqueued. A lost one costs a poll, never a job."""

import logging
from collections.abc import Callable
from time import monotonic

from jobq.runtime.hints import Hints, Pace
from jobq.runtime.service import Service
from jobq.store import workers
from jobq.store.database import Connection, Database, probe
from jobq.store.statements import control_channel

log = logging.getLogger("jobq.worker.listener")

PROBE_EVERY_SECONDS = 30.0
"""So often the connection proves by a round trip that it still is one: a dead peer says nothing."""

WAIT_SECONDS = 1.0

MAX_AT_ONCE = 100_000
"""Maximum number of notifications that are read before the first of them counts."""


class Listener(Service):
    """Passes on what is notified: the name of a queue, or that an operator wants something, and of which worker (none:
    of all). `on_connected_again` is called when hints may have been lost, and when there are too many to name."""

    name = "listen"

    def __init__(
        self,
        database: Database,
        *,
        on_hint: Callable[[str], None],
        on_control: Callable[[str], None],
        on_connected_again: Callable[[], None],
    ) -> None:
        super().__init__(database)
        self._on_hint = on_hint
        self._on_control = on_control
        self._control_channel = control_channel(database.schema)
        self._on_connected_again = on_connected_again
        self._probe_at = 0.0
        self._pace = Pace()

    def was_useful(self) -> None:
        """A hint may have led to jobs: something was claimed."""
        self._pace.was_useful()

    def on_connected(self, connection: Connection) -> None:
        if self.database.is_pooled:  # what is heard there may be another client's, and ours another's
            return
        workers.listen(connection, self.database.schema)
        self._probe_at = monotonic() + PROBE_EVERY_SECONDS
        self._on_connected_again()

    def tick(self, connection: Connection) -> float | None:
        if self.database.is_pooled:
            self._disconnect()
            return None
        self._stopping.wait(self._pace.seconds_to_wait())
        if hints := self._hints(connection):
            self._pace.looked()
            self._pass_on(hints)
        if monotonic() >= self._probe_at:
            probe(connection)
            self._probe_at = monotonic() + PROBE_EVERY_SECONDS
        return 0.0

    def _hints(self, connection: Connection) -> Hints:
        hints = Hints()
        for channel, payload in workers.heard(connection, timeout=WAIT_SECONDS, most=MAX_AT_ONCE):
            if channel == self._control_channel:
                hints.add_wanted(payload)
            else:
                hints.add_queue(payload)
        return hints

    def _pass_on(self, hints: Hints) -> None:
        for worker in hints.wanted:
            self._on_control(worker)
        if hints.are_too_many:
            self._on_connected_again()
            return
        for queue in hints.queues:
            self._on_hint(queue)
