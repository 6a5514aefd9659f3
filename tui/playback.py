"""The controls of a recording: the shown moment, and the speed."""

from collections.abc import Callable

from .feed import Feed
from .replay import Replay


class Playback:
    def __init__(self, replay: Replay, feed: Feed, moved: Callable[[], None]) -> None:
        self._replay = replay
        self._feed = feed
        self._moved = moved

    def toggle(self) -> None:
        self._replay.toggle()
        self._show()

    def step(self, looks: int) -> None:
        self._replay.step(looks)
        self._show()

    def seek(self, seconds: float) -> None:
        self._replay.seek(seconds)
        self._show()

    def faster(self) -> None:
        self._replay.faster()
        self._show()

    def _show(self) -> None:
        """Shows the chosen moment at once."""
        self._feed.look()
        self._moved()
