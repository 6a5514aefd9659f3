"""Follows the lines of jobs: workers send them for as long as somebody says so."""

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from jobq.errors import DatabaseError, DatabaseForbidden
from jobq.operate.acting import who_acts
from jobq.operate.rights import permitted
from jobq.store import logs
from jobq.store.database import Database

FOLLOW_SECONDS = 30.0
"""A follower that has gone without a word is forgotten after this time …"""

RENEW_SECONDS = 10.0
"""… and one that is there says so this often."""


class Following:
    """While this is entered, workers send the lines of one job, or of classes and queues.

        with Following(database, job_id=4711) as following:
            while …:
                following.keep_up()

    A role that may not follow sees what is sent anyway; `why_not` says so.
    """

    def __init__(
        self,
        database: Database,
        *,
        job_id: int | None = None,
        classes: Sequence[str] = (),
        queues: Sequence[str] = (),
        level: int = 0,
    ) -> None:
        self.why_not: str | None = None
        self.job_id = job_id
        self._database = database
        self._classes = classes
        self._queues = queues
        self._level = level
        self._id: int | None = None
        self._renew_at = 0.0

    def __enter__(self) -> Self:
        self.keep_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def keep_up(self, *, is_due: bool = False) -> None:
        """To be called about once a second."""
        if self.why_not is not None or not (is_due or monotonic() >= self._renew_at):
            return
        try:
            with permitted(self._database, "follow"), self._database.connection() as connection:
                if self._id is None or not logs.renew_follow(
                    connection, self._database.schema, self._id, seconds=FOLLOW_SECONDS
                ):
                    self._id = logs.follow(
                        connection,
                        self._database.schema,
                        job_id=self.job_id,
                        classes=self._classes,
                        queues=self._queues,
                        level=self._level,
                        seconds=FOLLOW_SECONDS,
                        by=who_acts(),
                    )
        except DatabaseForbidden as error:
            self.why_not = str(error)
        self._renew_at = monotonic() + RENEW_SECONDS

    def end(self) -> None:
        """Where that cannot be said, the time does it."""
        if self._id is None:
            return
        with suppress(DatabaseError), self._database.connection() as connection:
            logs.unfollow(connection, self._database.schema, self._id)
        self._id = None
