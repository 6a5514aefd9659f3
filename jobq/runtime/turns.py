"""When the main loop last turned: the only proof of life that heartbeats, health probes and watchdogs may use."""

from time import monotonic


class Turns:
    """Marked by the main thread at each turn, and read by any thread: one number needs no lock.

    While nothing happens, the main loop still turns every `supervisor.TICK_SECONDS`.
    """

    def __init__(self) -> None:
        self._last = monotonic()

    def mark(self) -> None:
        """The main loop starts a turn."""
        self._last = monotonic()

    @property
    def seconds_since_last(self) -> float:
        return monotonic() - self._last
