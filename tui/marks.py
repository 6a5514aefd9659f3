"""The jobs that an act is on: marked ones, all matches, or the one under the cursor. Pure."""

from collections.abc import Hashable, Sequence

from jobq.records import JobRecord

from .scope import Scope
from .source import Query


class Marks:
    def __init__(self) -> None:
        self.ids: set[Hashable] = set()  # stay marked under any filter
        self.is_all = False  # all matches, also those that are not loaded
        self._last: Hashable = None

    def __bool__(self) -> bool:
        return self.is_all or bool(self.ids)

    def clear(self) -> None:
        self.is_all, self._last = False, None
        self.ids.clear()

    def begin_list(self) -> None:
        """For another filter: marks stay, but "all matches" ends, since they are others now."""
        self.is_all, self._last = False, None

    def unmark(self) -> None:
        self.is_all = False
        self.ids.clear()

    def toggle(self, key: Hashable) -> None:
        self.is_all = False
        self.ids.symmetric_difference_update({key})
        self._last = key if key in self.ids else None

    def add_range(self, ids: Sequence[Hashable], here: Hashable) -> None:
        """Marks everything from the last mark to here."""
        end = ids.index(here)
        start = ids.index(self._last) if self._last is not None and self._last in ids else end
        self.ids.update(ids[min(start, end) : max(start, end) + 1])
        self._last = here

    def toggle_all(self) -> None:
        self.is_all = not self.is_all
        self.ids.clear()

    def forget(self, done: Sequence[int]) -> None:
        """After an act: removes the marks of its jobs."""
        self.ids.difference_update(done)
        self.is_all = False

    def away_from(self, loaded: Sequence[JobRecord]) -> int:
        """The number of marked jobs that are not among these."""
        return len(self.ids - {job.id for job in loaded})

    def scope(
        self, query: Query | None, loaded: Sequence[JobRecord], in_sight: Sequence[JobRecord], current: JobRecord | None
    ) -> Scope:
        if self.is_all:
            return Scope(query=query, jobs=tuple(in_sight))
        ids = self._in_order(loaded) if self.ids else [current.id] if current is not None else []
        chosen = set(ids)
        return Scope(tuple(ids), jobs=tuple(job for job in loaded if job.id in chosen))

    def _in_order(self, loaded: Sequence[JobRecord]) -> list[int]:
        """In the order of the list. Jobs that are not loaded come first, the newest of them leading."""
        order = {job.id: place for place, job in enumerate(loaded)}
        ids = [job_id for job_id in self.ids if isinstance(job_id, int)]
        return sorted(ids, key=lambda job_id: order.get(job_id, -job_id))
