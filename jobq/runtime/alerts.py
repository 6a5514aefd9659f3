"""Tells alerts, by turns with the other workers: one of them looks every 30 seconds. Only where alerts are set."""

import logging

from jobq.runtime.duties import Duties
from jobq.runtime.service import Service, jittered
from jobq.settings import Settings
from jobq.store import alerts
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker.alerts")

LOOK_SECONDS = 30.0


class Alerts(Service):
    name = "alerts"
    keeps_connection = False

    def __init__(self, database: Database, duties: Duties) -> None:
        super().__init__(database)
        self._duties = duties

    def tick(self, connection: Connection) -> float | None:
        """A turn is a little shorter than the time between two looks, so that none is passed over."""
        if alerts.take_turn(connection, self.database.schema, "alerts", seconds=LOOK_SECONDS * 0.8):
            self._duties.tell_alerts()
        return jittered(LOOK_SECONDS)


def are_set(settings: Settings) -> bool:
    return settings.alerts is not None or settings.alert_command is not None
