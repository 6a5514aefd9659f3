"""Notifications: what they say, and how often a worker acts on them. Any role of the database can send any number of
them.

Each hint causes a look into the database. Hints that lead to jobs are not limited, nor is a burst of others. After
that, one look serves all hints of a short time: a flood costs little, and delays a job by no more than that time.
"""

import json
from collections.abc import Callable
from time import monotonic

from jobq.runtime.announced import Announcement

MAX_QUEUES = 100
"""Maximum number of queues that are looked at by name; for more, a look at all costs less."""

MAX_PLACES = 10
"""Maximum number of workers that are told about one job."""

MAX_QUEUE_BYTES = 400
"""The longest name that the table of jobs takes."""

BURST = 50

PAUSE_SECONDS = 0.02
"""Seconds between two looks that found nothing, after a burst of them."""


class Hints:
    """The contents of one batch of notifications, without repetitions. Invalid ones are dropped."""

    def __init__(self) -> None:
        self.queues: set[str] = set()
        self.gates: set[str] = set()
        self.wanted: set[str] = set()  # workers to which an operator has a request; an empty text: all
        self.announced: dict[int, Announcement] = {}  # to this worker, by job
        self.are_too_many = False

    def add_queue(self, name: str) -> None:
        if name not in self.queues and is_name_of_queue(name):
            self._add(self.queues, name)

    def add_gate(self, name: str) -> None:
        if name not in self.gates and is_name_of_queue(name):
            self._add(self.gates, name)

    def add_announced(self, text: str) -> None:
        """A job that was enqueued: this worker shall claim it, or stand by for it."""
        try:
            job_id, place, queue, job_class = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            return
        if (type(job_id), type(place), type(queue)) != (int, int, str) or not is_name_of_queue(queue):
            return
        if not 0 < job_id < 2**63 or not 0 <= place < MAX_PLACES:
            return
        if len(self.announced) < MAX_QUEUES:
            self.announced.setdefault(job_id, Announcement(job_id, queue, str(job_class), place))
        else:
            self.add_queue(queue)

    def add_wanted(self, worker: str) -> None:
        if worker not in self.wanted and (not worker or (worker.isascii() and worker.isdigit() and len(worker) < 20)):
            self._add(self.wanted, worker)

    def _add(self, names: set[str], name: str) -> None:
        if len(names) < MAX_QUEUES:
            names.add(name)
        else:
            self.are_too_many = True

    def __bool__(self) -> bool:
        return bool(self.queues or self.gates or self.wanted or self.announced)


def is_name_of_queue(text: str) -> bool:
    return bool(text) and len(text.encode()) <= MAX_QUEUE_BYTES


class Pace:
    """How long to wait before the next look."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._free = float(BURST)
        self._counted_at = clock()

    def seconds_to_wait(self) -> float:
        self._count()
        return max(0.0, 1 - self._free) * PAUSE_SECONDS

    def looked(self) -> None:
        """A look was taken."""
        self._count()
        self._free -= 1

    def was_useful(self) -> None:
        """A look led to jobs: it does not count, and neither does a fruitless one beside it."""
        self._free = min(self._free + 2, BURST)

    def _count(self) -> None:
        now = self._clock()
        self._free = min(self._free + (now - self._counted_at) / PAUSE_SECONDS, BURST)
        self._counted_at = now
