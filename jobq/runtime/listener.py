"""Listens for notifications, which hint that something was enqueued. A lost one costs a poll, never a job."""

import selectors
from collections.abc import Callable
from time import monotonic

from jobq.runtime.announced import Announcement
from jobq.runtime.exchange import Exchange
from jobq.runtime.hints import Hints, Pace
from jobq.runtime.ownership import Ownership
from jobq.store import workers
from jobq.store.callers.steps import Steps
from jobq.store.database import PROBE, Database
from jobq.store.statements import channel, control_channel, gate_channel

PROBE_EVERY_SECONDS = 30.0
"""Seconds between two round trips that test the connection: a dead peer says nothing."""


class Listener(Exchange):
    """Passes on notifications: a job for this worker, the name of a queue, or an operator's request to a worker (none:
    to all). `on_connected_again` is called when hints may have been lost, and when there are too many to name."""

    name = "listen"

    def __init__(
        self,
        database: Database,
        selector: selectors.BaseSelector,
        wake_loop: Callable[[], None],
        ownership: Ownership,
        *,
        on_announced: Callable[[Announcement], None],
        on_hint: Callable[[str], None],
        on_gate: Callable[[str], None],
        on_control: Callable[[str], None],
        on_connected_again: Callable[[], None],
    ) -> None:
        super().__init__(database, selector, wake_loop)
        self._ownership = ownership
        self._on_announced = on_announced
        self._on_hint = on_hint
        self._on_gate = on_gate
        self._on_control = on_control
        self._on_connected_again = on_connected_again
        self._queues = channel(database.schema)
        self._gates = gate_channel(database.schema)
        self._control = control_channel(database.schema)
        self._hints = Hints()
        self._listens_as: int | None = None
        self._probe_at = 0.0
        self._pace = Pace()

    def was_useful(self) -> None:
        """A hint may have led to jobs: something was claimed."""
        self._pace.was_useful()

    def on_connected(self) -> Steps[None]:
        if self.database.is_pooled:  # notifications there may be another client's, and ours may go to another
            self.is_over = True
            return
        yield from self._listen()
        self._probe_at = monotonic() + PROBE_EVERY_SECONDS

    def _listen(self) -> Steps[None]:
        """Under the current identity of this worker."""
        self._listens_as, worker_id = None, self._ownership.worker_id
        for listen in workers.listening(self.database.schema, worker_id):
            yield listen, {}
        self._listens_as = worker_id
        self._on_connected_again()

    @property
    def is_listening(self) -> bool:
        return self.is_connected and self._listens_as == self._ownership.worker_id

    def tick(self) -> Steps[float | None]:
        if self.is_over:
            return None
        if not self.is_listening:
            yield from self._listen()
        if monotonic() >= self._probe_at:
            yield PROBE, {}
            self._probe_at = monotonic() + PROBE_EVERY_SECONDS
        return max(0.0, self._probe_at - monotonic())

    def on_notified(self, channel: str, text: str) -> None:
        if channel == self._control:
            self._hints.add_wanted(text)
        elif channel == self._queues:
            self._hints.add_queue(text)
        elif channel == self._gates:
            self._hints.add_gate(text)
        else:
            self._hints.add_announced(text)

    def on_heard(self) -> None:
        hints, self._hints = self._hints, Hints()
        if not hints:
            return
        self._pace.looked()
        self._pass_on(hints)
        if seconds := self._pace.seconds_to_wait():
            self.hear_nothing(seconds)

    def _pass_on(self, hints: Hints) -> None:
        for worker in hints.wanted:
            self._on_control(worker)
        if hints.are_too_many:
            self._on_connected_again()
            return
        for queue in hints.queues:
            self._on_hint(queue)
        for gate in hints.gates:
            self._on_gate(gate)
        for announcement in hints.announced.values():
            self._on_announced(announcement)
