"""How long a service or an exchange has been in one tick, and whether that was reported."""

import logging
from time import monotonic

log = logging.getLogger("jobq.worker")

LONG_SECONDS = 30.0
"""A tick that takes longer is reported: the database does not answer, or another transaction holds a lock."""


class Ticking:
    """The service or exchange calls `began` and `ended`. The main loop calls everything else."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        self._is_told = False

    def began(self) -> None:
        self._since = monotonic()

    def ended(self) -> None:
        self._since = None

    @property
    def seconds(self) -> float:
        """How long it has been in its tick; 0 if it rests."""
        since = self._since
        return 0.0 if since is None else monotonic() - since

    @property
    def is_long(self) -> bool:
        return self.seconds > LONG_SECONDS

    def look_after(self) -> None:
        """Called from time to time. Reports a long wait once."""
        is_long = self.is_long
        if is_long and not self._is_told:
            log.warning("service=%s has waited for the database for seconds=%.0f", self._name, self.seconds)
        self._is_told = is_long
