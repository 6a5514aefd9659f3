"""The number of matches of the filter in each list. Pure. Each list is a question of its own: none delays another."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from jobq.observe import Matches

from .source import Query, Source, View

EVERY = timedelta(seconds=10)
"""Seconds between two counts: eight questions cost more than a look."""

PREFIX = "matches of "


class MatchCounts:
    def __init__(self, ask: Callable[[str, Callable[[Source], Any]], None]) -> None:
        """`ask` sends a question. Its answer goes to `take`, its failure to `refuse`."""
        self.text = ""  # the filter
        self._ask = ask
        self._queries: tuple[Query, ...] = ()
        self._found: dict[str, Matches] = {}
        self._failed: set[str] = set()
        self._asked_at: datetime | None = None

    def count(self, queries: Iterable[Query], now: datetime) -> None:
        """Counts the matches of another filter, in each list."""
        self._queries = tuple(queries)
        self.text = self._queries[0].text
        self._found.clear()
        self._count(now)

    def look_again(self, now: datetime) -> None:
        if self.text and self._asked_at is not None and now - self._asked_at >= EVERY:
            self._count(now)

    def _count(self, now: datetime) -> None:
        self._asked_at = now
        self._failed.clear()
        for query in self._queries if self.text else ():
            if query.barred:
                self._found[query.view.name] = Matches(0)
            else:
                self._ask(PREFIX + query.view.name, self._question(query))

    @staticmethod
    def _question(query: Query) -> Callable[[Source], tuple[str, Matches]]:
        return lambda source: (query.text, source.matches(query))

    def take(self, name: str, value: tuple[str, Matches]) -> None:
        text, found = value
        if text == self.text:
            self._found[name.removeprefix(PREFIX)] = found
            self._failed.discard(name.removeprefix(PREFIX))

    def refuse(self, name: str) -> None:
        self._failed.add(name.removeprefix(PREFIX))

    def of(self, view: View) -> Matches | None:
        """None while they are being counted, or if that failed."""
        return self._found.get(view.name)

    def has_failed(self, view: View) -> bool:
        return view.name in self._failed and view.name not in self._found

    @property
    def first_view(self) -> View | None:
        """The first list with a match. None if no match is known, or if an earlier list is still being counted."""
        for view in (query.view for query in self._queries):
            found = self.of(view)
            if found is not None and found.number:
                return view
            if found is None and not self.has_failed(view):
                return None
        return None

    @property
    def is_counting(self) -> bool:
        views = (query.view for query in self._queries)
        return any(self.of(view) is None and not self.has_failed(view) for view in views)
