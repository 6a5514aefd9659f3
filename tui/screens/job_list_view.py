"""A list of jobs with its strip, filter, peek and status line: reads the visible jobs, and draws them."""

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.errors import FilterError
from jobq.records import JobRecord

from ..context import Context, context_of
from ..job_list import JobList, Order
from ..marks import Marks
from ..match_counts import PREFIX, MatchCounts
from ..messages import Answered, Refused
from ..source import Source, View, views_of
from ..widgets.filterbar import FilterBar
from ..widgets.frame import Line
from ..widgets.rows import Rows
from . import job_list_text as words
from .job_columns import ORDERS, JobColumns
from .peek import Peek

WIDE = 100


class JobListView(Vertical):
    def __init__(self, painted: Callable[[], None]) -> None:
        """`painted` is called when different keys may work now."""
        super().__init__(id="job-list")
        self.marks = Marks()
        self.jobs = JobList(self._ask, lambda: self.rows.cursor == 0 and not self.marks)
        self.counts = MatchCounts(self._ask)
        self._is_seeking = False  # a filter was typed: looking for a list with a match
        self._painted = painted

    def compose(self) -> ComposeResult:
        yield Line(id="strip")
        yield Line(id="filter-line")
        yield FilterBar(id="filter-bar")
        yield Rows([], key=lambda job: job.id, empty="", id="jobs")
        yield Peek()
        yield Line(id="status")

    def on_mount(self) -> None:
        self.rows.dim = lambda job: self.jobs.window.is_gone(job.id)
        self.rows.marks = self.marks.ids

    @property
    def console(self) -> Context:
        return context_of(self)

    @property
    def rows(self) -> Rows:
        return self.query_one("#jobs", Rows)

    @property
    def peek(self) -> Peek:
        return self.query_one(Peek)

    @property
    def columns(self) -> JobColumns:
        return JobColumns(self.console, lambda: self.app.size.width >= WIDE)

    # Which list

    def show(self, view: View, text: str) -> None:
        """Shows another list, or another filter on it, from its top."""
        try:
            query = self.console.source.query(view, text)
        except FilterError as error:
            self.console.tell(error.problem, is_bad=True)
            return
        self._is_seeking = False
        if view is not self.jobs.view:
            self.marks.clear()
        if text != self.counts.text:
            queries = [self.console.source.query(one, text) for one in views_of(self.console.state.snapshot)]
            self.counts.count(queries, self.console.state.now)
        self.marks.begin_list()
        self.jobs.show(query)
        self.peek.detail = None
        self.choose_columns()
        self._begin()

    def _begin(self) -> None:
        self.rows.stay_on_top([])
        self._want()
        self.paint()

    def choose_columns(self) -> None:
        self.rows.columns = self.columns.shown(self.jobs.view)
        if self.jobs.sort is not None and self.jobs.sort[0] not in {column.title for column in self.rows.columns}:
            self.sort_by(None)

    def sort_by(self, sort: Order | None) -> None:
        self.jobs.sort_by(sort, "" if sort is None else ORDERS[sort[0]])
        self._begin()

    # Reading

    def look_again(self) -> None:
        self.jobs.look_again(self.rows.in_sight, self.rows.top, self.rows.lines_in_sight)
        self.counts.look_again(self.console.state.now)

    def _ask(self, name: str, question: Callable[[Source], Any], *, is_again: bool = False) -> None:
        self.console.feed.ask(self, name, question, is_again=is_again)

    def _want(self) -> None:
        self.jobs.want(self.rows.top, self.rows.lines_in_sight)

    def _look_closer(self) -> None:
        """Reads the job under the cursor, for the peek."""
        job: JobRecord | None = self.rows.current
        if job is not None and self.peek.display:
            self._ask("peek", lambda source: source.job(job.id))

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "peek":
            self.peek.detail = message.value
            self.peek.put(self.rows.current, self.console.glyphs)
        elif message.name.startswith(PREFIX):
            self.counts.take(message.name, message.value)
            self._counted()
        elif self.jobs.take(message.name, message.value):
            if message.name == "page":
                self._want()
            self.fill()

    def on_refused(self, message: Refused) -> None:
        message.stop()
        if message.name == "peek":
            self.peek.put(self.rows.current, self.console.glyphs)
        elif message.name.startswith(PREFIX):
            self.counts.refuse(message.name)
            self._counted()
        elif self.jobs.refuse(str(message.error)):
            self.paint_lines()
        elif self.console.state.lost is None:
            self.console.tell(str(message.error), is_bad=True)

    def _counted(self) -> None:
        """Goes to the first list with a match, if the shown one has none."""
        here, view = self.counts.of(self.jobs.view), self.counts.first_view
        if self._is_seeking and here is not None and here.number:
            self._is_seeking = False
        elif self._is_seeking and view is not None and (here is not None or self.counts.has_failed(self.jobs.view)):
            self.console.tell(words.other_list_words(self.jobs.view, view, self.counts))
            self.show(view, self.counts.text)
        elif self._is_seeking and not self.counts.is_counting:
            self._is_seeking = False
            self.console.tell("no job matches, in any state")
        self.paint_lines()

    def fill(self) -> None:
        """Puts the loaded jobs into the rows, in the chosen order."""
        current: JobRecord | None = self.rows.current
        rows = self.jobs.rows({*self.marks.ids, current.id if current is not None else None})
        if self.jobs.is_following:
            self.rows.stay_on_top(rows)
        else:
            self.rows.put(rows)
        self.paint_lines()
        self._look_closer()

    # Drawing

    def paint(self) -> None:
        self.paint_lines()
        if self.is_mounted:
            self.peek.put(self.rows.current, self.console.glyphs)

    def paint_lines(self) -> None:
        if not self.is_mounted:
            return
        jobs, rows, keymap, glyphs = self.jobs, self.rows, self.console.keymap, self.console.glyphs
        width, loaded = self.query_one("#strip", Line).size.width or self.app.size.width, len(rows.items)
        is_wide = width >= WIDE
        counts = words.matches_of(self.counts, glyphs) if jobs.filter else words.counts_of(self.console.state.snapshot)
        lists = views_of(self.console.state.snapshot)
        strip = words.strip(jobs.view, lists, counts, glyphs, width, has_colours=not self.app.no_color)
        self.query_one("#strip", Line).update(strip)
        typed, match = words.filter_text(jobs.query), words.match_text(jobs, loaded, glyphs)
        room = width - typed.cell_len - match.cell_len - 4
        views = self.console.preferences.views if is_wide else ()
        typed.append_text(words.chips(views, jobs, room, glyphs.more))
        self.query_one("#filter-line", Line).put(typed, match)
        place = words.place_text(jobs, self.rows.current, rows.cursor, loaded)
        left = words.marked_text(jobs, self.marks, rows.items, keymap, glyphs) if self.marks else place
        self.query_one("#status", Line).put(left, words.newer_text(jobs, keymap, glyphs))
        rows.empty = words.emptiness(jobs, keymap, glyphs.more)
        rows.sorted_by = jobs.sort
        rows.repaint()
        self._painted()

    def on_resize(self) -> None:
        """Draws what a smaller window had no room for."""
        self.call_after_refresh(self._look_closer)

    # Messages of the rows and the filter bar

    def on_rows_moved(self, message: Rows.Moved) -> None:
        if self.rows.cursor >= len(self.rows.items) - 1:
            self.jobs.look_on()
        self._want()
        self.paint_lines()
        self._look_closer()

    def on_rows_topped(self, message: Rows.Topped) -> None:
        if self.jobs.sort is not None:
            self.sort_by(None)
        elif self.jobs.window.newer or self.jobs.window.first > 0:
            self.jobs.reload()
            self._begin()

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        self.rows.focus()
        self.show(self.jobs.view, message.text)
        self._is_seeking = bool(message.text)
        self._counted()

    def on_filter_bar_left(self) -> None:
        self.rows.focus()
