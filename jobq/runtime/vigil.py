"""Watches the heartbeats of workers by this worker's own monotonic clock.

The database's clock says when a worker wrote its last heartbeat, and may jump: an hour forward, and every live worker
seems silent for an hour. So a worker is declared dead only if this one has seen its heartbeat stand still for the whole
timeout. A new worker needs that long to find out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from time import monotonic

from jobq.runtime.control import look_seconds
from jobq.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    beat: float  # the last heartbeat, by the database's clock
    since: float  # when it was first seen, by this worker's clock


class Vigil:
    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.heartbeat_timeout
        self._out_of_touch_seconds = max(self._timeout / 2, 1.5 * look_seconds(settings) + 1)
        self._looked_at = -inf
        self._seen: dict[int, Seen] = {}

    def look(self, beats: Mapping[int, float]) -> None:
        """Notes the last heartbeat of each live worker."""
        now = monotonic()
        known = {} if self._is_out_of_touch(now) else self._seen
        self._looked_at = now
        self._seen = {
            worker: seen if (seen := known.get(worker)) is not None and seen.beat == beat else Seen(beat, now)
            for worker, beat in beats.items()
        }

    def standing_still(self) -> dict[int, float]:
        """The heartbeats that have stood still for the timeout, by worker."""
        now = monotonic()
        if self._is_out_of_touch(now):
            return {}
        return {worker: seen.beat for worker, seen in self._seen.items() if now - seen.since >= self._timeout}

    def watch_anew(self, workers: Collection[int]) -> None:
        """These workers get the whole timeout again to report."""
        now = monotonic()
        self._seen |= {worker: Seen(self._seen[worker].beat, now) for worker in workers if worker in self._seen}

    def _is_out_of_touch(self, now: float) -> bool:
        """If this worker did not reach the database for a while, the others may not have reached it either: a failover,
        a recovery, a standstill. They get the whole timeout again to report."""
        return now - self._looked_at > self._out_of_touch_seconds
