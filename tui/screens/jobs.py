"""Where is my job? The lists by state, with a filter, marks, and acts on marked jobs or matches."""

from typing import Any, ClassVar

from textual.app import ComposeResult

from jobq.errors import UsageError
from jobq.filters import Term
from jobq.records import JobDetail, JobRecord

from .. import search
from ..actions import Action, bindings
from ..job_list import is_long
from ..preferences import SavedView
from ..scope import Scope
from ..source import VIEW_BY_NAME, Report, views_of
from ..troubles import Place
from ..widgets.filterbar import FilterBar
from ..widgets.rows import Rows
from .columns import Columns
from .job_list_view import JobListView
from .job_screen import JobScreen
from .looking import look_up
from .sorting import next_order
from .views import Views
from .why import Why

ON_ONE = ("open", "edit", "copy", "why", "stack", "log", "mark", "mark_range")
"""Actions on the job under the cursor."""


class Jobs(JobScreen):
    NAME = "jobs"
    MAIN = "jobs"
    FILTER_HELP = search.HELP
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "open", "mark", "retry", "cancel", "edit", "purge", "filter", "match_all", "sort", "copy", "why", "undo",
        "stack", "log", "mark_range", "columns", "views", "state_left", "state_right", "top", "bottom", "enqueue",
        "back",
    )  # fmt: skip
    BINDINGS: ClassVar[list[Any]] = bindings(
        "mark", "mark_range", "match_all", "retry", "cancel", "purge", "edit", "filter", "sort", "copy", "why",
        "stack", "log", "columns", "views", "state_left", "state_right", "back",
    )  # fmt: skip

    def body(self) -> ComposeResult:
        yield JobListView(self.paint_foot)

    def on_mount(self) -> None:
        self.list_view.rows.focus()
        self.list_view.show(self.list_view.jobs.view, "")

    @property
    def list_view(self) -> JobListView:
        return self.query_one(JobListView)

    # The job under the cursor, and what is marked

    @property
    def job(self) -> JobRecord | None:
        return self.list_view.rows.current

    @property
    def job_detail(self) -> JobDetail | None:
        return self.list_view.peek.detail_of(self.job)

    @property
    def scope(self) -> Scope:
        rows = self.list_view.rows
        return self.list_view.marks.scope(self.list_view.jobs.query, rows.items, rows.in_sight, self.job)

    @property
    def list_command(self) -> str:
        return search.command(self.list_view.jobs.view, self.list_view.jobs.filter)

    # Messages of the console

    def show_place(self, place: Place) -> None:
        if place.is_typing:
            self.call_later(self.query_one("#filter-bar", FilterBar).open, "")
            return
        view = VIEW_BY_NAME.get(place.view, self.list_view.jobs.view)
        self.call_later(self.list_view.show, view, place.filter)

    def looked(self) -> None:
        self.list_view.look_again()

    def answered(self, name: str, value: Any) -> None:
        if name == "why":
            self.app.push_screen(Why(value))

    def acted(self, report: Report) -> None:
        self.list_view.marks.forget(report.done)
        self.list_view.paint_lines()

    def paint(self) -> None:
        super().paint()
        if self.is_mounted:
            self.list_view.paint()

    # Keys

    def on_rows_opened(self, message: Rows.Opened) -> None:
        if self.job is not None:
            self.console.navigation.open_job(self.job.id, [job.id for job in self.list_view.rows.items])

    def action_state_left(self) -> None:
        jobs = self.list_view.jobs
        self.list_view.show(jobs.beside(-1, views_of(self.console.state.snapshot)), jobs.filter)

    def action_state_right(self) -> None:
        jobs = self.list_view.jobs
        self.list_view.show(jobs.beside(1, views_of(self.console.state.snapshot)), jobs.filter)

    def action_mark(self) -> None:
        if self.job is not None:
            self.list_view.marks.toggle(self.job.id)
            self.list_view.rows.action_move(1)

    def action_mark_range(self) -> None:
        if self.job is not None:
            self.list_view.marks.add_range([job.id for job in self.list_view.rows.items], self.job.id)
            self.list_view.paint_lines()

    def action_match_all(self) -> None:
        self.list_view.marks.toggle_all()
        self.list_view.paint_lines()

    def action_back(self) -> None:
        """Clears one thing at a time: the marks, the order, the filter."""
        jobs = self.list_view.jobs
        if self.list_view.marks:
            self.list_view.marks.unmark()
            self.list_view.paint_lines()
        elif jobs.sort is not None:
            self.list_view.sort_by(None)
        elif jobs.filter:
            self.list_view.show(jobs.view, "")

    def action_sort(self) -> None:
        """Orders by the next column, first in the direction that is more useful."""
        self.list_view.sort_by(next_order(self.list_view.rows.columns, self.list_view.jobs.sort, self.size.width))

    def action_columns(self) -> None:
        view, preferences = self.list_view.jobs.view, self.console.preferences

        def hide(titles: tuple[str, ...]) -> None:
            try:
                preferences.hide(view.name, titles)
            except UsageError as error:
                self.console.tell(str(error), is_bad=True)
            self.list_view.choose_columns()
            self.list_view.fill()

        hidden = preferences.hidden.get(view.name, ())
        self.app.push_screen(Columns(view.name, self.list_view.columns.of(view), hidden, hide))

    def action_views(self) -> None:
        jobs = self.list_view.jobs

        def go(saved: SavedView | None) -> None:
            if saved is not None and (saved.view, saved.filter) != (jobs.view.name, jobs.filter):
                self.list_view.show(VIEW_BY_NAME[saved.view], saved.filter)
            self.list_view.paint_lines()

        self.app.push_screen(Views(jobs.view.name, jobs.filter), go)

    def action_filter(self) -> None:
        self.query_one("#filter-bar", FilterBar).open(self.list_view.jobs.filter)

    def check_filter(self, text: str) -> list[Term]:
        """The terms that would be slow here. Raises FilterError if it is not a filter."""
        view = self.list_view.jobs.view
        self.console.source.query(view, text)
        return search.slow(view, text) if is_long(view, self.console.state.snapshot) else []

    def action_why(self) -> None:
        job = self.job
        if job is not None:
            look_up(self, "why", f"Why #{job.id} is where it is", lambda source: source.why(job.id))

    def why_not(self, action: Action) -> str | None:
        jobs, marks = self.list_view.jobs, self.list_view.marks
        if (action.name in ON_ONE and self.job is None) or (action.act is not None and not self.list_view.rows.items):
            return "there is no job in this list"
        if (why := self.why_not_in(action, "these jobs are", jobs.view.which)) is not None:
            return why
        if action.name == "back" and not (marks or jobs.filter or jobs.sort):
            return "nothing is set"
        return super().why_not(action)
