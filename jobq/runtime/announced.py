"""Jobs that were enqueued one by one. Each is announced to a few waiting workers: one claims it, the others stand by.

The worker that is named first looks at once. The next ones look a little later, in case the first is dead, frozen, or
cut off. So a lone job costs a few looks, however many workers wait.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from math import inf
from time import monotonic

STAND_BY_SECONDS = 0.015
"""The second worker that is named looks after this time, the third after twice this time."""

MAX_ANNOUNCED = 100
"""Maximum number of jobs that are looked up by id; for more, a look at the queue costs less."""


@dataclass(frozen=True, slots=True)
class Announcement:
    job_id: int
    queue: str
    job_class: str
    place: int  # of this worker among those that are named; 0 looks at once
    heard_at: float = field(default_factory=monotonic)

    @property
    def look_at(self) -> float:
        return self.heard_at + self.place * STAND_BY_SECONDS

    def is_missed(self, now: float) -> bool:
        """Whether this worker should have got the job and did not: it was named first, when nobody stood by yet."""
        return self.place == 0 and now < self.heard_at + STAND_BY_SECONDS


class Announced:
    """Jobs announced to this worker, and when it looks for each."""

    def __init__(self) -> None:
        self._waiting: list[Announcement] = []

    def add(self, announcement: Announcement) -> bool:
        """False: there are too many."""
        if len(self._waiting) >= MAX_ANNOUNCED:
            return False
        self._waiting.append(announcement)
        return True

    @property
    def look_at(self) -> float:
        return min((announcement.look_at for announcement in self._waiting), default=inf)

    def take_due(self, now: float) -> list[Announcement]:
        due = [announcement for announcement in self._waiting if announcement.look_at <= now]
        if due:
            self._waiting = [announcement for announcement in self._waiting if announcement.look_at > now]
        return due

    def take_all(self) -> list[Announcement]:
        return self.take_due(inf)

    def forget(self, job_ids: Collection[int]) -> None:
        """These have been claimed."""
        self._waiting = [announcement for announcement in self._waiting if announcement.job_id not in job_ids]
