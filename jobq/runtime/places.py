"""The places that jobs of this worker hold at gates: noted with the claim, freed when the end is recorded."""

from collections.abc import Iterable
from math import inf
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.ownership import Ownership

TELL_EVERY_SECONDS = 0.004
"""Other workers are told of one gate no more often than this."""


class Places:
    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._held: dict[tuple[int, int], str] = {}  # attempts, each with its gate
        self._told_at: dict[str, float] = {}
        self.freed: set[str] = set()
        """Gates at which places of this worker were freed, and nobody was told of it."""

    def take(self, claimed: Iterable[Assignment], gate: str) -> None:
        self._held.update({(one.id, one.attempt): gate for one in claimed})

    def look(self) -> set[str]:
        """The gates at which attempts of this worker have freed places since the last look."""
        ended = [attempt for attempt in self._held if not self._ownership.holds(attempt)]
        freed = {self._held.pop(attempt) for attempt in ended}
        self.freed |= freed
        return freed

    def take_to_tell(self, with_room: Iterable[str]) -> list[str]:
        """The gates of which workers that sleep are to be told now, among those at which there is room."""
        now = monotonic()
        due = [
            gate
            for gate in self.freed.intersection(with_room)
            if self._told_at.get(gate, -inf) + TELL_EVERY_SECONDS <= now
        ]
        self._told_at.update(dict.fromkeys(due, now))
        self.freed.clear()
        return sorted(due)

    def drop_all(self) -> None:
        self._held.clear()
        self.freed.clear()
