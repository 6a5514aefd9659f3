"""The row of this worker in the database: made at the start, and closed at the end."""

import logging
import os
import threading
from collections.abc import Sequence

import jobq
from jobq.builds import build_of
from jobq.queue_choice import QueueChoice
from jobq.records import ClassRecord
from jobq.runtime.ownership import Ownership
from jobq.store import workers
from jobq.store.database import Connection, Database, host_name

log = logging.getLogger("jobq.worker")


class Registration:
    def __init__(self, database: Database, ownership: Ownership, queues: QueueChoice, processes: int) -> None:
        self._database = database
        self._ownership = ownership
        self._queues = queues
        self._processes = processes
        self._build = build_of(database.settings)

    def register_first(self) -> int:
        """At the start of the worker. Raises JobqError."""
        with self._database.explained(), self._database.connect("worker") as connection:
            worker_id = self.register(connection, ())
        self._ownership.begin_anew(worker_id)
        return worker_id

    def register(self, connection: Connection, classes: Sequence[ClassRecord]) -> int:
        """Makes a row, and returns its id."""
        host, pid = host_name(), os.getpid()
        worker_id = workers.register(
            connection,
            self._database.schema,
            host=host,
            pid=pid,
            version=jobq.__version__,
            processes=self._processes,
            queues=self._queues.terms,
            classes=classes,
            build=self._build,
        )
        log.info(
            "worker started worker=%s host=%s pid=%s processes=%s queues=%s build=%s",
            *(worker_id, host, pid, self._processes, self._queues, self._build or "unknown"),
        )
        return worker_id

    def sign_off(self, seconds: float) -> None:
        """A database that is away must not hold the exit up."""
        signing = threading.Thread(target=self._sign_off, name="jobq-sign-off", daemon=True)
        signing.start()
        signing.join(seconds)
        if signing.is_alive():
            log.warning("could not sign off: the database did not answer seconds=%g", seconds)

    def _sign_off(self) -> None:
        try:
            with self._database.connect("worker sign off") as connection:
                workers.stop(connection, self._database.schema, worker_id=self._ownership.worker_id)
        except Exception as error:  # noqa: BLE001 - the edge of the process: others will find it silent
            log.warning("could not sign off error=%s", self._database.message_of(error))
