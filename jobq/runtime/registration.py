"""The row of this worker in the database: made at the start, and closed at the end."""

import logging
import os
from collections.abc import Sequence

import jobq
from jobq.records import ClassRecord
from jobq.runtime.ownership import Ownership
from jobq.store import workers
from jobq.store.database import Database, host_name

log = logging.getLogger("jobq.worker")


class Registration:
    def __init__(self, database: Database, ownership: Ownership, queues: Sequence[str], processes: int) -> None:
        self._database = database
        self._ownership = ownership
        self._queues = queues
        self._processes = processes

    def register(self, classes: Sequence[ClassRecord]) -> int:
        """Begins anew under a new id, which is returned. Raises JobqError."""
        host, pid = host_name(), os.getpid()
        with self._database.explained(), self._database.connect("worker") as connection:
            worker_id = workers.register(
                connection,
                self._database.schema,
                host=host,
                pid=pid,
                version=jobq.__version__,
                processes=self._processes,
                queues=self._queues,
                classes=classes,
            )
        self._ownership.begin_anew(worker_id)
        log.info(
            "worker started worker=%s host=%s pid=%s processes=%s queues=%s",
            *(worker_id, host, pid, self._processes, ",".join(self._queues) or "all"),
        )
        return worker_id

    def sign_off(self) -> None:
        """A database that is away must not hold the exit up."""
        try:
            with self._database.connect("worker sign off") as connection:
                workers.stop(connection, self._database.schema, worker_id=self._ownership.worker_id)
        except Exception as error:  # noqa: BLE001 - the edge of the process: others will find it silent
            log.warning("could not sign off error=%s", self._database.said(error))
