"""The worker's health reports: at each turn of the main loop, and over HTTP if that is configured."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from jobq import telemetry
from jobq.records import Load
from jobq.runtime.children import Children
from jobq.runtime.health.condition import Condition
from jobq.runtime.health.database_figures import DatabaseFigures
from jobq.runtime.health.exposition import Exposition, WorkerFacts
from jobq.runtime.health.figures import Figures
from jobq.runtime.health.listening import listen, parsed
from jobq.runtime.health.pages import pages
from jobq.runtime.health.presence import Presence
from jobq.runtime.health.server import Server
from jobq.runtime.services import Services
from jobq.runtime.shutdown import Shutdown
from jobq.runtime.turns import Turns
from jobq.store.database import host_name


@dataclass(frozen=True, slots=True)
class Probes:
    """The server of the probes, and the reader of the database's figures."""

    listener: socket.socket
    read: Callable[[], Load]

    @classmethod
    def at(cls, address: str, read: Callable[[], Load]) -> "Probes":
        """Starts to listen. Raises UsageError if it cannot."""
        return cls(listen(parsed(address)), read)


class Health:
    def __init__(
        self, turns: Turns, children: Children, services: Services, shutdown: Shutdown, probes: Probes | None
    ) -> None:
        self._name = f"{host_name()}/{os.getpid()}"
        self._services = services
        self._children = children
        condition = Condition(
            services.settings,
            turns,
            [*services.claimers],
            heartbeat=services.heartbeat,
            count_ready=children.crew.count_ready,
            is_stopping=lambda: shutdown.has_begun,
        )
        self._presence = Presence(self._name, condition, self._summary)
        if telemetry.tells_for_children():
            services.completer.on_counts.append(telemetry.count_attempts)
        self._server: Server | None = None
        self._database: DatabaseFigures | None = None
        if probes is not None:
            figures = Figures()
            services.completer.on_counts.append(figures.add)
            self._database = DatabaseFigures(probes.read)
            exposition = Exposition(figures, self._database, condition, self._facts)
            self._server = Server(probes.listener, pages(condition, exposition))

    def start(self) -> None:
        if self._server is not None and self._database is not None:
            self._database.start()
            self._server.start()

    def turned(self) -> None:
        self._presence.turned()

    def close(self) -> None:
        if self._server is not None and self._database is not None:
            self._server.stop()
            self._database.stop()
        self._presence.close()

    def _facts(self) -> WorkerFacts:
        ready, running = self._children.crew.count_ready(), len(self._services.ownership.held())
        return WorkerFacts(self._name, len(self._children.crew.slots), ready, running)

    def _summary(self) -> str:
        facts, done = self._facts(), self._services.completer.tally.attempts
        return f"{facts.ready} of {facts.processes} processes ready, {facts.running} jobs claimed, {done} done"
