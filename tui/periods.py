"""The period of all figures: its length, and the other choices."""

from . import formats
from .feed import Feed
from .source import Snapshot

PERIODS = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
"""Lengths of the period, in seconds."""


class FiguresPeriod:
    """The feed has it, and asks for figures of this period."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @property
    def seconds(self) -> float:
        return self._feed.seconds

    @property
    def words(self) -> str:
        return formats.age(self.seconds)

    def change(self, step: int) -> None:
        """Changes to a shorter or longer period. The figures are read again at once."""
        place = min(max(PERIODS.index(self.seconds) + step, 0), len(PERIODS) - 1)
        self._feed.seconds = PERIODS[place]
        self._feed.look()

    def follow(self, snapshot: Snapshot) -> None:
        """Changes to the period that was recorded."""
        length = (snapshot.period.until - snapshot.period.since).total_seconds()
        self._feed.seconds = min(PERIODS, key=lambda seconds: abs(seconds - length))
