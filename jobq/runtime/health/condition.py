"""Decides whether this worker is alive, and whether it is ready: the one place, for all kinds of probes.

Nothing here asks the database. A worker whose database is down is alive: a restart would not help.
"""

from collections.abc import Callable
from time import monotonic

from jobq.runtime.exchange import Exchange
from jobq.runtime.service import Service
from jobq.runtime.turns import Turns
from jobq.settings import Settings


class Condition:
    """`connected` are the services and exchanges that must have a connection. `heartbeat` is the service that asks the
    database all the time. `count_ready` returns the number of children that have loaded the application."""

    def __init__(
        self,
        settings: Settings,
        turns: Turns,
        connected: list[Service | Exchange],
        *,
        heartbeat: Service,
        count_ready: Callable[[], int],
        is_stopping: Callable[[], bool],
    ) -> None:
        self.limit_seconds = settings.silent_after
        self.turns = turns
        self._connected: list[Service | Exchange] = [*connected, heartbeat]
        self._heartbeat = heartbeat
        self._count_ready = count_ready
        self._is_stopping = is_stopping

    @property
    def is_live(self) -> bool:
        """Whether the main loop turned lately."""
        return self.turns.seconds_since_last <= self.limit_seconds

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping()

    def why_not_live(self) -> str | None:
        if self.is_live:
            return None
        return f"the main loop last turned {self.turns.seconds_since_last:.0f} s ago"

    def why_not_ready(self) -> str | None:
        """The first reason why the worker cannot be expected to work. None if it is ready."""
        if self.is_stopping:
            return "it is stopping"
        if (why := self.why_not_live()) is not None:
            return why
        if self._count_ready() == 0:
            return "no child process has loaded the application yet"
        if not self.is_in_touch:
            return "the database is out of reach"
        return None

    @property
    def is_in_touch(self) -> bool:
        """Whether no connection is lost, and the heartbeat had an answer lately. Other services ask only when there is
        room."""
        is_connected = all(service.is_connected for service in self._connected)
        return is_connected and monotonic() - self._heartbeat.answered_at <= self.limit_seconds
