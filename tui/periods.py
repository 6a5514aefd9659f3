"""The period of all figures: how long it is, and which others there are."""

from . import formats
from .feed import Feed
from .source import Snapshot

PERIODS = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
"""Seconds that the figures may be of."""


class FiguresPeriod:
    """Kept by the feed, which asks for the figures."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @property
    def seconds(self) -> float:
        return self._feed.seconds

    @property
    def words(self) -> str:
        return formats.age(self.seconds)

    def change(self, step: int) -> None:
        """To a shorter or longer one; the figures are read again at once."""
        place = min(max(PERIODS.index(self.seconds) + step, 0), len(PERIODS) - 1)
        self._feed.seconds = PERIODS[place]
        self._feed.look()

    def follow(self, snapshot: Snapshot) -> None:
        """To the period that was looked at in a recording."""
        length = (snapshot.period.until - snapshot.period.since).total_seconds()
        self._feed.seconds = min(PERIODS, key=lambda seconds: abs(seconds - length))
