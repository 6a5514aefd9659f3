"""Claims whose answers were lost. After a lost connection the claimed jobs belong to this worker all the same."""

import logging
from collections.abc import Collection
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.ownership import Ownership
from jobq.store import claiming
from jobq.store.callers.steps import Steps

log = logging.getLogger("jobq.worker.claimer")

MISSED_AGAIN_SECONDS = 1.0
MISSED_SELDOM_SECONDS = 600.0
"""After a lost connection the server may still execute a claim, after this worker has asked what it holds. So it asks
again, at growing intervals."""


class Missed:
    """Asks which jobs this worker holds without knowing it: on each connection, and repeatedly after a lost one."""

    def __init__(self, schema: str, ownership: Ownership, *, through_gates: bool = False) -> None:
        self._schema = schema
        self._through_gates = through_gates
        self._ownership = ownership
        self._was_connected = False
        self._wait = MISSED_AGAIN_SECONDS
        self._at: float | None = None  # no connection has been lost yet

    def on_connected(self) -> None:
        if self._was_connected:
            self._wait = MISSED_AGAIN_SECONDS
            self._at = monotonic() + self._wait
        self._was_connected = True

    def seconds_to_look(self) -> float | None:
        return None if self._at is None else max(0.0, self._at - monotonic())

    def look(self) -> Steps[list[Assignment]]:
        """Jobs that this worker holds according to the database, and does not know of."""
        # before the query: jobs that end meanwhile are known
        worker_id, held = self._ownership.worker_id, self._ownership.held()
        found = yield from claiming.held(self._schema, worker_id=worker_id, through_gates=self._through_gates)
        return [one for one in found if (one.id, one.attempt) not in held]

    @staticmethod
    def tell(found: Collection[Assignment]) -> None:
        log.info("recovered claimed jobs after a lost connection jobs=%s", len(found))

    def looked_again(self) -> None:
        self._wait = min(2 * self._wait, MISSED_SELDOM_SECONDS)
        self._at = monotonic() + self._wait
