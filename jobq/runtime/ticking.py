"""For how long a service or an exchange has been at one tick, and whether that was reported."""

import logging
from time import monotonic

log = logging.getLogger("jobq.worker")

LONG_SECONDS = 30.0
"""Whoever is at one tick for longer is reported: the database does not answer, or somebody holds what it wants."""


class Ticking:
    """`began` and `ended` are called by whoever ticks, everything else by the main loop."""

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
        """For how long it has been in its tick; 0 where it rests."""
        since = self._since
        return 0.0 if since is None else monotonic() - since

    @property
    def is_long(self) -> bool:
        return self.seconds > LONG_SECONDS

    def look_after(self) -> None:
        """Called from time to time. A long wait is reported once, and ends nothing."""
        is_long = self.is_long
        if is_long and not self._is_told:
            log.warning("service=%s has waited for the database for seconds=%.0f", self._name, self.seconds)
        self._is_told = is_long
