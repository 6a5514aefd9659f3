"""The list of jobs on the screen: which list, its loaded part, and the questions that keep it up to date. Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from jobq.records import JobRecord
from jobq.states import FINISHED, State

from .source import VIEWS, Query, Snapshot, Source, View
from .window import PAGE, Window

Order = tuple[str, bool]
"""The title of a column, and whether the order is descending."""

LOOK_ON = 50_000
"""Maximum number of jobs that a search without an index goes through in one go, in a few questions one after the other.
"""

LONG = 50_000
"""Number of jobs that are read one by one within a fraction of a second."""


class Ask(Protocol):
    def __call__(self, name: str, question: Callable[[Source], Any], *, is_again: bool = False) -> None:
        """Sends a question; its answer goes to `JobList.take`."""


class JobList:
    def __init__(self, ask: Ask, is_at_top: Callable[[], bool]) -> None:
        """`is_at_top`: the cursor is on the first row, and nothing is marked."""
        self.query: Query | None = None
        self.window = Window()
        self.sort: Order | None = None
        self.problem = ""  # why there is nothing to show
        self._ask = ask
        self._is_at_top = is_at_top
        self._epoch = 0  # answers to questions of an earlier epoch are ignored
        self._asked: int | None = None  # the requested page that has not arrived
        self._may_look = LOOK_ON  # jobs that a search may go through by itself

    @property
    def view(self) -> View:
        return VIEWS[0] if self.query is None else self.query.view

    @property
    def filter(self) -> str:
        return "" if self.query is None else self.query.text

    @property
    def is_following(self) -> bool:
        """Whether new rows may enter the list."""
        return self.sort is None and self._is_at_top() and not self.is_partial

    @property
    def is_partial(self) -> bool:
        """Whether only the newest jobs were read so far."""
        return self.window.looked > 0 and not self.window.is_complete

    # Which list

    def show(self, query: Query) -> None:
        """Shows another list, or another filter on it, from its top."""
        self.query = query
        self.sort = None
        self.reload()

    def sort_by(self, sort: Order | None, column: str) -> None:
        """Orders the list by a column, under the name that the source knows. None: the newest first."""
        if self.query is not None:
            self.sort = sort
            self.query = replace(self.query, order=None if sort is None else (column, sort[1]))
            self.reload()

    def reload(self) -> None:
        self._epoch += 1
        self.window.reset()
        self._asked = None
        self._may_look = LOOK_ON
        self.problem = ""

    def beside(self, step: int, views: Sequence[View]) -> View:
        """The previous or the next of the shown lists."""
        place = views.index(self.view) if self.view in views else 0
        return views[(place + step) % len(views)]

    # Asking

    def want(self, top: int, height: int) -> None:
        """Asks for the page that is needed next, unless it is loaded."""
        number = self.window.wanted(top, height)
        if number is None or number == self._asked or self.query is None:
            return
        if number > self.window.last and self.window.looked >= self._may_look:
            return
        self._asked = number
        self._ask_page("page", number)

    def look_on(self) -> None:
        """Continues a search that stopped before the end of its list."""
        if self.is_partial and self._asked is None:
            self._may_look = self.window.looked + LOOK_ON

    def look_again(self, in_sight: Iterable[JobRecord], top: int, height: int) -> None:
        """Reads the rows on the screen again. The others stay as they are."""
        if self.query is None:
            return
        if not self.window.is_loaded:
            if self.problem:
                self.want(top, height)
            return
        if self.is_following:
            self._ask_page("follow", 0, is_again=True)
            return
        query, epoch = self.query, self._epoch
        if query.order is not None:
            jobs = tuple(in_sight)
            self._ask("among", lambda source: (epoch, (jobs, source.among(query, jobs))), is_again=True)
            return
        numbers = {0, *self.window.pages_of(job.id for job in in_sight)}
        starts = {number: self.window.start_of(number) for number in numbers}

        def pages(source: Source) -> Any:
            return epoch, [(number, source.jobs(query, limit=PAGE, after=start)) for number, start in starts.items()]

        self._ask("again", pages, is_again=True)

    def _ask_page(self, name: str, number: int, *, is_again: bool = False) -> None:
        query, epoch, after = self.query, self._epoch, self.window.start_of(number)
        assert query is not None

        def page(source: Source) -> Any:
            return epoch, [(number, source.jobs(query, limit=PAGE, after=after))]

        self._ask(name, page, is_again=is_again)

    # Answers

    def take(self, name: str, value: tuple[int, Any]) -> bool:
        """Takes the answer to a question. False if the list has changed since the question was asked."""
        epoch, pages = value
        if epoch != self._epoch:
            return False
        if name == "among":
            self.window.update(*pages)
            return True
        for number, page in pages:
            if name == "page":
                self._asked = None
                self.window.put(number, page)
            elif name == "follow" and self.is_following:
                self.window.reset()
                self.window.put(number, page)
            else:
                self.window.refresh(number, page)
        return True

    def refuse(self, problem: str) -> bool:
        """A question failed. False if there is still something to show."""
        self._asked = None
        if self.window.is_loaded:
            return False
        self.problem = problem
        return True

    def rows(self, kept: Collection[Any] = ()) -> Sequence[JobRecord]:
        """The loaded jobs. A job that has ended leaves the list of running jobs, except for `kept`."""
        rows = self.window.rows
        if self.view.which == State.RUNNING:
            rows = [job for job in rows if job.id in kept or not self.window.is_gone(job.id)]
        return rows


def is_long(view: View, snapshot: Snapshot | None) -> bool:
    """Whether the list may be too long to read its jobs one by one."""
    if snapshot is None or view.which == State.RUNNING:
        return False
    stats = snapshot.stats
    if view.which == FINISHED:
        return sum(stats.outcomes.values()) > LONG
    return max(stats.pending, stats.scheduled) > LONG
