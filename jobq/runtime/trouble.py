"""The trouble of a service: logs it once until it changes, and decides how long to wait before the next try."""

import logging
import random
from time import monotonic

from jobq.store.database import Database, explain, passing

log = logging.getLogger("jobq.worker")

FIRST_BACKOFF_SECONDS = 0.1

WELL_SECONDS = 10.0
"""Seconds without a failure after which the trouble is over."""


class Trouble:
    """The troubles of one service since its last good period.

    A success proves little: on a full disk, statements that need no new page succeed. So the wait grows from failure to
    failure, and is halved with each second in which all went well.
    """

    def __init__(self, service: str, database: Database) -> None:
        self._service = service
        self._database = database
        self._told: set[str] = set()
        self._backoff = FIRST_BACKOFF_SECONDS
        self._well_since: float | None = None

    def worked(self) -> None:
        """Notes a success."""
        if not self._told:
            return
        if self._well_since is None:
            self._well_since = monotonic()
        if monotonic() - self._well_since >= WELL_SECONDS:
            log.info("the database works again service=%s", self._service)
            self._told.clear()
            self._backoff, self._well_since = FIRST_BACKOFF_SECONDS, None

    def seconds_to_look(self) -> float | None:
        """When the next success would show that the trouble is over. None if there is no trouble, or it continues."""
        return None if self._well_since is None else self._well_since + WELL_SECONDS - monotonic()

    def failed(self, error: Exception, max_seconds: float) -> float:
        """Logs a new trouble. Returns the seconds to wait: growing, and different for each worker."""
        self._decay()
        kind = kind_of(error)
        if kind not in self._told:
            self._told.add(kind)
            self._tell(kind, error)
        wait = self._backoff * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._backoff = min(self._backoff * 2, max_seconds)
        return wait

    def _decay(self) -> None:
        if self._well_since is not None:
            well_seconds = monotonic() - self._well_since
            self._backoff = max(FIRST_BACKOFF_SECONDS, self._backoff * 0.5**well_seconds)
            self._well_since = None

    def _tell(self, kind: str, error: Exception) -> None:
        explanation = explain(error, self._database)
        if explanation is None:
            log.error("service failed service=%s", self._service, exc_info=error)
        elif passing(error):
            log.warning("database %s service=%s: %s", kind, self._service, explanation)
        else:
            log.error("service=%s cannot work: %s", self._service, explanation)


def kind_of(error: Exception) -> str:
    """What distinguishes one trouble from another: the condition of the server, or the kind of the error."""
    condition = passing(error)
    return type(error).__name__ if condition is None else condition.name
