"""The loaded part of a long list: consecutive pages, found by key, dropped at the far end. Pure."""

from collections.abc import Iterable
from typing import Any

from jobq.observe import Position
from jobq.records import JobRecord

from .source import JobPage

PAGE = 200
MOST_PAGES = 20


class Window:
    """Pages `first` to `last` of a list of jobs. Rows keep their places until `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._pages: dict[int, tuple[JobRecord, ...]] = {}
        self._starts: list[Position | None] = [None]
        self._gone: dict[int, str] = {}
        self.newer = 0
        self.looked = 0  # number of jobs read by looks that ended before the end of the list
        self.sorted: int | None = None  # only this number of the newest jobs is sorted
        self.is_complete = False  # the end of the list is loaded
        self.is_loaded = False

    @property
    def first(self) -> int:
        return min(self._pages, default=0)

    @property
    def last(self) -> int:
        return max(self._pages, default=0)

    @property
    def rows(self) -> list[JobRecord]:
        return [job for number in sorted(self._pages) for job in self._pages[number]]

    def is_gone(self, job_id: int) -> bool:
        """Whether a job was loaded from the list and has since left it."""
        return job_id in self._gone

    def start_of(self, number: int) -> Position | None:
        return self._starts[number]

    def put(self, number: int, page: JobPage) -> None:
        """Adds a requested page at either end. If there are too many pages, those at the far end go."""
        self.is_loaded = True
        self.looked += page.looked or 0
        self.sorted = page.sorted or self.sorted
        if number > 0 and not page.jobs and page.next is not None:
            self._starts[number] = page.next  # nothing was found so far: the page begins further down
            return
        known = {job.id for other, jobs in self._pages.items() if other != number for job in jobs}
        self._pages[number] = tuple(job for job in page.jobs if job.id not in known)
        if number + 1 == len(self._starts) and page.next is not None:
            self._starts.append(page.next)
        if number == self.last:
            self.is_complete = page.next is None
        if len(self._pages) > MOST_PAGES:
            dropped = self.first if number == self.last else self.last
            del self._pages[dropped]
            if dropped > number:
                self.is_complete = False

    def wanted(self, top: int, height: int) -> int | None:
        """The page to request so that the rows from `top` on, and some at either side, are loaded."""
        if not self.is_loaded:
            return 0
        count = sum(map(len, self._pages.values()))
        if top < height and self.first > 0:
            return self.first - 1
        if top + 3 * height > count and not self.is_complete and self.last + 1 < len(self._starts):
            return self.last + 1
        return None

    def pages_of(self, ids: Iterable[int]) -> list[int]:
        """The pages that hold these jobs."""
        wanted = set(ids)
        return [number for number, jobs in sorted(self._pages.items()) if any(job.id in wanted for job in jobs)]

    def refresh(self, number: int, page: JobPage) -> None:
        """Takes the current jobs of a page: rows change in place, and none is added or removed.

        A job that is missing there has left the list, and is marked as such.
        """
        if number not in self._pages:
            return
        found = {job.id: job for job in page.jobs}
        rows = []
        for job in self._pages[number]:
            if job.id in found:
                self._gone.pop(job.id, None)
            elif page.next is None or (page.jobs and self._is_within(job, page)):
                self._gone[job.id] = job.state
            rows.append(found.get(job.id, job))
        self._pages[number] = tuple(rows)
        if number == 0:
            known = {job.id for job in self._pages[0]}
            top = self._pages[0][0] if self._pages[0] else None
            self.newer = sum(job.id not in known and (top is None or is_above(job, top)) for job in page.jobs)

    def update(self, asked: Iterable[JobRecord], found: Iterable[JobRecord]) -> None:
        """Takes the current state of some rows: they change in place, and those that left the list are marked."""
        known = {job.id: job for job in found}
        for job in asked:
            if job.id in known:
                self._gone.pop(job.id, None)
            else:
                self._gone[job.id] = job.state
        for number, jobs in self._pages.items():
            self._pages[number] = tuple(known.get(job.id, job) for job in jobs)

    def _is_within(self, job: JobRecord, page: JobPage) -> bool:
        """Whether a page would hold the job if it were still in the list."""
        return not is_above(page.jobs[-1], job)


def is_above(one: JobRecord, other: JobRecord) -> bool:
    return order(one) > order(other)


def order(job: JobRecord) -> tuple[Any, ...]:
    """The order of the lists: finished jobs by their end, others by id."""
    return (job.ended_at, job.id) if job.ended_at is not None else (job.id,)
