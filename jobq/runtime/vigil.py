"""Watches the heartbeats of workers by this worker's own monotonic clock.

The database's clock says when a worker was heard of, and may step: by an hour forward, every live worker is an hour
silent. So nobody is declared dead of whom this worker has not seen, for the whole timeout, that its heartbeat stands
still. That takes a new worker as long to find out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from time import monotonic

from jobq.runtime.control import look_seconds
from jobq.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    beat: float  # when the worker was heard of last, by the database's clock
    since: float  # when this was seen first, by this worker's


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
        """These get as long again to report as they ever have."""
        now = monotonic()
        self._seen |= {worker: Seen(self._seen[worker].beat, now) for worker in workers if worker in self._seen}

    def _is_out_of_touch(self, now: float) -> bool:
        """Where this worker did not hear of the database for a while, the silence of the others may be the database's:
        a failover, a recovery, a standstill. They get as long again to report as they ever have."""
        return now - self._looked_at > self._out_of_touch_seconds
