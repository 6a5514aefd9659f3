"""Where is my job? The lists by state, a page at a time, with a filter, marks, and acts on what is meant."""

from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.errors import FilterError, UsageError
from jobq.filters import Term
from jobq.records import JobDetail, JobRecord
from jobq.states import FINISHED, State

from .. import formats, search, theme
from ..actions import Action, bindings
from ..messages import Answered, Refused
from ..plans import Scope
from ..preferences import SavedView
from ..source import VIEW_BY_NAME, VIEWS, Query, Report, Source, View
from ..troubles import Place
from ..widgets.filterbar import FilterBar
from ..widgets.frame import Line
from ..widgets.lines import Lines
from ..widgets.rows import Column, Rows
from ..window import PAGE, Window, by
from .base import ConsoleScreen, is_bad, state_text
from .columns import Columns
from .copy import Copy, choices
from .job_text import call_of, error_of, progress_text
from .overview import elapsed_text, usual_text
from .stack import LiveStack
from .traceback_text import traceback_lines
from .views import Views
from .why import Why

LONG = 50_000
"""Jobs that are looked at one by one within a fraction of a second."""


class Jobs(ConsoleScreen):
    NAME = "jobs"
    MAIN = "jobs"
    FILTER_HELP = search.HELP
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "open", "mark", "retry", "cancel", "edit", "purge", "filter", "match_all", "sort", "copy", "why", "undo",
        "stack", "mark_range", "columns", "views", "state_left", "state_right", "top", "bottom", "enqueue", "back",
    )  # fmt: skip
    BINDINGS: ClassVar[list[Any]] = bindings(
        "mark", "mark_range", "match_all", "retry", "cancel", "purge", "edit", "filter", "sort", "copy", "why",
        "stack", "columns", "views", "state_left", "state_right", "back",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.view: View = VIEWS[0]
        self.filter = ""
        self.shown: Query | None = None
        self.window = Window()
        self.is_all = False
        self.last_mark: int | None = None
        self.sort: tuple[str, bool] | None = None
        self.detail: JobDetail | None = None
        self._peeked: int | None = None
        self.problem = ""  # why there is nothing to show
        self._epoch = 0
        self._asked: int | None = None
        self._filters = {view.name: "" for view in VIEWS}

    def body(self) -> ComposeResult:
        yield Line(id="strip")
        yield Line(id="filter-line")
        yield FilterBar(id="filter-bar")
        yield Rows([], key=lambda job: job.id, empty="", id="jobs")
        with Vertical(id="peek"):
            yield Line(id="peek-title", classes="heading")
            yield Lines(id="peek-lines")
        yield Line(id="status")

    def on_mount(self) -> None:
        self.rows.focus()
        self.rows.dim = lambda job: self.window.is_gone(job.id)
        self._show_view(self.view, self.filter)

    @property
    def rows(self) -> Rows:
        return self.query_one("#jobs", Rows)

    @property
    def marks(self) -> set[int]:
        return self.rows.marks  # type: ignore[return-value]  # the keys of these rows are ids

    @property
    def is_following(self) -> bool:
        """New rows are let in: the cursor is on the first row, nothing is marked, nothing is sorted."""
        return self.rows.cursor == 0 and not self.marks and not self.is_all and self.sort is None

    # Which list

    def show_place(self, place: Place) -> None:
        view = VIEW_BY_NAME.get(place.view, self.view)
        self.call_later(self._show_view, view, place.filter)

    def _show_view(self, view: View, text: str) -> None:
        """Another list, or another filter on it, from its top. Marks stay with their jobs, whatever is filtered."""
        try:
            query = self.console.source.query(view, text)
        except FilterError as error:
            self.console.tell(error.problem, is_bad=True)
            return
        if view is not self.view:
            self.marks.clear()
        self.view, self.filter, self.shown = view, text, query
        self._filters[view.name] = text
        self.is_all, self.last_mark, self.sort, self.detail = False, None, None, None
        self._choose_columns()
        self._reload()

    def _reload(self) -> None:
        self._epoch += 1
        self.window.reset()
        self._asked = None
        self.problem = ""
        self.rows.stay_on_top([])
        self.rows.empty = self._emptiness()
        self._want()
        self.paint()

    # Reading

    def looked(self) -> None:
        """What is on the screen is read again; what is not is left as it is."""
        if self.shown is None:
            return
        if not self.window.is_loaded:
            if self.problem:
                self._want()
            return
        query, epoch = self.shown, self._epoch
        if self.is_following:
            self._ask("follow", 0, None, is_again=True)
            return
        ids = [job.id for job in self.rows.in_sight]
        starts = {number: self.window.start_of(number) for number in {0, *self.window.pages_of(ids)}}

        def again(source: Source) -> Any:
            pages = {number: source.jobs(query, limit=PAGE, after=start) for number, start in starts.items()}
            return epoch, pages

        self.console.feed.ask(self, "again", again, is_again=True)

    def _want(self) -> None:
        """Asks for the page that will be needed next, if it is not there."""
        number = self.window.wanted(self.rows.top, self.rows.lines_in_sight)
        if number is None or number == self._asked or self.shown is None:
            return
        self._asked = number
        self._ask("page", number, self.window.start_of(number))

    def _ask(self, name: str, number: int, after: Any, *, is_again: bool = False) -> None:
        query, epoch = self.shown, self._epoch
        assert query is not None

        def page(source: Source) -> Any:
            return epoch, number, source.jobs(query, limit=PAGE, after=after)

        self.console.feed.ask(self, name, page, is_again=is_again)

    def _peek(self) -> None:
        job = self.rows.current
        if job is None or not self.query_one("#peek").display:
            return
        self.console.feed.ask(self, "peek", lambda source: source.job(job.id))

    def on_resize(self) -> None:
        # What a smaller window had no room for. No super(): Textual calls the handlers of all classes.
        self.call_after_refresh(self._peek)

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "peek":
            self.detail = message.value
            self._paint_peek()
            return
        if message.name == "why":
            self.app.push_screen(Why(message.value))
            return
        if message.name == "stack":
            self.app.push_screen(LiveStack(message.value))
            return
        epoch, *rest = message.value
        if epoch != self._epoch:
            return
        if message.name == "again":
            for number, page in rest[0].items():
                self.window.refresh(number, page)
        elif message.name == "follow":
            self._follow(rest[1])
        else:
            self._asked = None
            self.window.put(*rest)
            self._want()
        self._fill()

    def _follow(self, page: Any) -> None:
        """The top of the list as it is now; unless the cursor has left it meanwhile."""
        if not self.is_following:
            self.window.refresh(0, page)
            return
        self.window.reset()
        self.window.put(0, page)

    def on_refused(self, message: Refused) -> None:
        message.stop()
        message.prevent_default()
        self._asked = None
        if message.name == "peek":
            self._paint_peek()
        elif not self.window.is_loaded:
            self.problem = str(message.error)
            self.rows.empty = self._emptiness()
            self.paint_lines()
        elif self.console.state.lost is None:
            self.console.tell(str(message.error), is_bad=True)

    def _fill(self) -> None:
        rows = self.window.rows
        if self.sort is not None:
            column = next(column for column in self.rows.columns if column.title == self.sort[0])
            assert column.order is not None
            rows = by(column.order, rows, is_falling=self.sort[1])
        if self.is_following:
            self.rows.stay_on_top(rows)
        else:
            self.rows.put(rows)
        self.rows.empty = self._emptiness()
        self.paint_lines()
        self._peek()

    def _emptiness(self) -> str:
        if not self.window.is_loaded:
            return self.problem or "looking" + self.glyphs.more
        if "group:" in self.filter and self.view.which == FINISHED:
            back = self.console.shown_key("back")
            return f"no job of this group is at rest: all were tried again, or deleted. {back} clears the filter"
        what = "no job matches" if self.filter else f"no {self.view.name} jobs"
        return f"{what}: {self.console.shown_key('back')} clears the filter" if self.filter else what

    # Drawing

    def paint(self) -> None:
        super().paint()
        self.paint_lines()
        self._paint_peek()

    def paint_lines(self) -> None:
        if not self.is_mounted:
            return
        width = self.app.size.width
        self.query_one("#strip", Line).update(self._strip(width))
        typed, match = self._filter_text(), self._match_text()
        typed.append_text(self._chips(width - typed.cell_len - match.cell_len - 4))
        self.query_one("#filter-line", Line).put(typed, match)
        self.query_one("#status", Line).put(self._status_text(), self._newer_text())
        self.rows.sorted_by = self.sort
        self.rows.refresh()
        self.paint_foot()

    def _strip(self, width: int) -> Text:
        """The lists with their counts, the one that is shown told from the others."""
        counts = self._counts()
        drawn = self._strip_of(counts, is_long=True)
        return drawn if drawn.cell_len <= width else self._strip_of(counts, is_long=False)

    def _strip_of(self, counts: dict[str, tuple[int, bool]], *, is_long: bool) -> Text:
        number = formats.count if is_long else formats.short
        text = Text("", no_wrap=True)
        for view in VIEWS:
            if view.name == "finished":
                text.append(f"{self.glyphs.bar}", theme.style(theme.FAINT))
            is_here = view is self.view
            words = view.name if is_long else view.short
            part = Text.assemble(
                (f" {self.glyphs.states[view.look]} {words}", theme.style(theme.colour(view.look), bold=is_here))
            )
            if view.name in counts:
                figure, about = counts[view.name]
                colour = theme.TEXT if is_here else theme.DIM
                part.append(f" {'~' if about else ''}{number(figure)}", theme.style(colour))
            part.append("  " if is_long else " ")
            if is_here:
                part.stylize("reverse" if self.app.no_color else f"on {theme.CURSOR}")
            text.append_text(part)
        return text

    def _counts(self) -> dict[str, tuple[int, bool]]:
        snapshot = self.console.state.snapshot
        if snapshot is None:
            return {}
        stats = snapshot.stats
        about = stats.estimated
        return {
            "pending": (stats.pending, "pending" in about),
            "scheduled": (stats.scheduled, "scheduled" in about),
            "running": (stats.running, False),
        }

    def _filter_text(self) -> Text:
        if not self.filter:
            return Text.assemble((" / ", theme.style(theme.KEY, bold=True)), ("filter", theme.style(theme.DIM)))
        text = Text.assemble((" / ", theme.style(theme.KEY, bold=True)))
        for word in self.filter.split(" "):
            name, colon, value = word.partition(":")
            text.append(name + colon if colon else "", theme.style(theme.DIM))
            text.append((value if colon else word) + " ", theme.style(theme.TEXT, bold=True))
        return text

    def _chips(self, room: int) -> Text:
        """The saved views, where there is room for them; the one that is shown told from the others."""
        chips = Text()
        for saved in self.console.preferences.views if self.is_wide else ():
            is_here = (saved.view, saved.filter) == (self.view.name, self.filter)
            look = theme.style(theme.KEY if is_here else theme.TEAL, reverse=is_here)
            chip = Text.assemble(" ", (f" {saved.name} ", look))
            if chips.cell_len + chip.cell_len > room:
                chips.append(f" {self.glyphs.more}", theme.style(theme.DIM))
                break
            chips.append_text(chip)
        return chips

    def _match_text(self) -> Text:
        loaded = len(self.rows.items)
        order = f"by {self.sort[0].lower()} {self.glyphs.down if self.sort[1] else self.glyphs.up}" if self.sort else ""
        order = order or "newest first"
        if not self.window.is_loaded:
            return Text("looking ", theme.style(theme.DIM))
        more = "" if self.window.is_complete and self.window.first == 0 else "+"
        noun = "match" if self.filter else ("job" if loaded == 1 and not more else "jobs")
        whole = f"{formats.count(loaded)}{more} {noun}"
        of = " (of what is loaded)" if self.sort and more and self.is_wide else ""
        return Text(f"{whole}   {order}{of} ", theme.style(theme.DIM))

    def _status_text(self) -> Text:
        if self.is_all:
            return Text.assemble(
                (f" {self.glyphs.mark} all that match", theme.style(theme.KEY, bold=True)),
                (f"  {self.shown}, also those not loaded", theme.style(theme.DIM)),
            )
        if self.marks:
            away = len(self.marks - {job.id for job in self.rows.items})
            beside = f", {away} not loaded here" if away and self.window.is_loaded else ""
            return Text.assemble(
                (f" {self.glyphs.mark} {len(self.marks)} marked{beside}", theme.style(theme.KEY, bold=True)),
                (
                    f"   {self.console.shown_key('match_all')} all that match   "
                    f"{self.console.shown_key('back')} unmarks",
                    theme.style(theme.DIM),
                ),
            )
        job = self.rows.current
        if job is not None and self.window.is_gone(job.id):
            return Text(f" #{job.id} has left this list; enter shows what became of it", theme.style(theme.WAIT))
        place = f" {self.rows.cursor + 1} of {formats.count(len(self.rows.items))}" if self.rows.items else ""
        return Text(place, theme.style(theme.DIM))

    def _newer_text(self) -> Text:
        newer = self.window.newer
        if not newer or self.is_following:
            return Text("")
        more = "+" if newer >= PAGE else ""
        return Text.assemble(
            (f"{self.glyphs.up} {newer}{more} newer, held", theme.style(theme.BUSY, bold=True)),
            (f"  {self.console.shown_key('top')} lets them in ", theme.style(theme.DIM)),
        )

    def _paint_peek(self) -> None:
        title, lines = self.query_one("#peek-title", Line), self.query_one("#peek-lines", Lines)
        job = self.rows.current
        if job is None:
            title.put(Text(""))
            lines.put([])
            return
        detail = self.detail if self.detail is not None and self.detail.job.id == job.id else None
        title.put(
            Text.assemble(
                f" #{job.id} {job.job_class}  ", state_text(self.glyphs, job.state, job.outcome), "  ", call_of(job)
            ),
            Text(f"{self.glyphs.enter} full page ", theme.style(theme.DIM)),
        )
        lines.put(peek_lines(job, detail), keep_place=job.id == self._peeked)
        self._peeked = job.id

    # Columns

    def _choose_columns(self) -> None:
        """Those of this list which this person has not left out."""
        hidden = self.console.preferences.hidden.get(self.view.name, ())
        self.rows.columns = [column for column in self.columns() if column.is_fixed or column.title not in hidden]
        if self.sort is not None and self.sort[0] not in {column.title for column in self.rows.columns}:
            self.sort = None

    def columns(self) -> list[Column]:
        """Each list has the columns that serve it."""
        number = Column("ID", lambda job: str(job.id), right=True, order=lambda job: job.id, is_fixed=True)
        name = Column("CLASS", self.class_of, most=34, order=lambda job: job.job_class)
        queue = Column(
            "QUEUE",
            lambda job: job.queue,
            most=16,
            least=60 if self.view.which != FINISHED else 90,
            order=lambda job: job.queue,
        )
        tries = Column("TRY", lambda job: f"{job.attempt}/{max(job.retries + 1, job.attempt)}", right=True,
                       order=lambda job: job.attempt)  # fmt: skip
        matter = Column("ARGUMENTS", self.matter, is_rest=True)
        priority = Column("PRIO", lambda job: str(job.priority), right=True, least=96, order=lambda job: job.priority)
        if self.view.which == State.RUNNING:
            elapsed = Column("ELAPSED", self.elapsed, right=True, order=lambda job: job.started_at)
            usual = Column("USUAL", self.usual, right=True, least=72)
            worker = Column("WORKER", lambda job: job.worker or "", most=24, least=96, order=lambda job: job.worker)
            progress = Column("PROGRESS", self.progress, most=24, least=80)
            return [number, name, queue, tries, elapsed, usual, progress, worker, replace(matter, least=96)]
        if self.view.which == FINISHED:
            ended = Column("ENDED", lambda job: formats.since(job.ended_at, self.console.state.now), right=True,
                           order=lambda job: job.ended_at)  # fmt: skip
            ran = Column("RAN", lambda job: formats.between(job.started_at, job.ended_at, self.glyphs.none), right=True,
                         order=run_seconds)  # fmt: skip
            outcome = [Column("OUTCOME", self.outcome, order=lambda job: job.outcome)] if not self.view.outcome else []
            title = "ERROR" if is_bad(self.view.outcome) else "ERROR, ARGUMENTS"
            return [number, *outcome, name, queue, tries, ended, ran, Column(title, self.matter, is_rest=True)]
        title = "DUE" if self.view.which == State.SCHEDULED else "WAITS"
        due = Column(title, self.due, right=True, order=lambda job: job.run_at)
        return [number, name, queue, priority, tries, due, Column("ARGUMENTS, LAST ERROR", self.matter, is_rest=True)]

    def class_of(self, job: JobRecord) -> str:
        """Where there is little room, without the module."""
        return formats.class_name(job.job_class, is_wide=self.is_wide)

    def matter(self, job: JobRecord) -> Text:
        """What tells this job from the next: its error, else its arguments."""
        if job.error_type and job.outcome != "successful":
            return Text.assemble((error_of(job), theme.style(theme.BAD if job.outcome else theme.WAIT)))
        return Text(formats.arguments(job.arguments), theme.style(theme.DIM))

    def outcome(self, job: JobRecord) -> Text:
        return state_text(self.glyphs, job.state, job.outcome)

    def elapsed(self, job: JobRecord) -> Text:
        return elapsed_text(job, self.console.state.snapshot, self.console.state.now, self.glyphs)

    def usual(self, job: JobRecord) -> Text:
        return usual_text(job, self.console.state.snapshot, self.glyphs)

    def progress(self, job: JobRecord) -> Text:
        if job.cancel_requested_at is not None:
            return Text("asked to end", theme.style(theme.WAIT))
        return progress_text(job, self.glyphs) if job.progress is not None else Text("")

    def due(self, job: JobRecord) -> str:
        return formats.due(job.run_at, self.console.state.now)

    # Keys

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._want()
        self.paint_lines()
        self._peek()

    def on_rows_topped(self, message: Rows.Topped) -> None:
        if self.window.newer or self.window.first > 0 or self.sort is not None:
            self.sort = None
            self._reload()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        self.console.navigation.open_job(message.rows.current_key, [job.id for job in self.rows.items])  # type: ignore[arg-type]

    def action_state_left(self) -> None:
        self._step(-1)

    def action_state_right(self) -> None:
        self._step(1)

    def _step(self, step: int) -> None:
        view = VIEWS[(VIEWS.index(self.view) + step) % len(VIEWS)]
        self._show_view(view, self._filters[view.name])

    def action_mark(self) -> None:
        key = self.rows.current_key
        if not isinstance(key, int):
            return
        self.is_all = False
        self.marks.symmetric_difference_update({key})
        self.last_mark = key if key in self.marks else None
        self.rows.action_move(1)

    def action_mark_range(self) -> None:
        ids = [job.id for job in self.rows.items]
        here = self.rows.current_key
        if here not in ids:
            return
        start = ids.index(self.last_mark) if self.last_mark in ids else ids.index(here)
        end = ids.index(here)
        self.marks.update(ids[min(start, end) : max(start, end) + 1])
        self.last_mark = here  # type: ignore[assignment]
        self.paint_lines()

    def action_match_all(self) -> None:
        self.is_all = not self.is_all
        self.marks.clear()
        self.paint_lines()

    def action_back(self) -> None:
        """One thing after the other: what is meant, the order, the filter."""
        if self.is_all or self.marks:
            self.is_all = False
            self.marks.clear()
            self.paint_lines()
        elif self.sort is not None:
            self.sort = None
            self._fill()
        elif self.filter:
            self._show_view(self.view, "")

    def action_sort(self) -> None:
        """The next column, rising or falling: first as one most likely wants it."""
        orders: list[tuple[str, bool]] = [
            (column.title, is_falling)
            for column in self.rows.columns
            if column.order is not None and self.size.width >= column.least
            for is_falling in ((True, False) if column.right else (False, True))
        ]
        place = orders.index(self.sort) + 1 if self.sort in orders else 0
        self.sort = orders[place] if place < len(orders) else None
        self._fill()

    def action_columns(self) -> None:
        hidden = self.console.preferences.hidden.get(self.view.name, ())
        self.app.push_screen(Columns(self.view.name, self.columns(), hidden, self._hide))

    def _hide(self, titles: tuple[str, ...]) -> None:
        try:
            self.console.preferences.hide(self.view.name, titles)
        except UsageError as error:
            self.console.tell(str(error), is_bad=True)
        self._choose_columns()
        self._fill()

    def action_views(self) -> None:
        def go(saved: SavedView | None) -> None:
            if saved is not None and (saved.view, saved.filter) != (self.view.name, self.filter):
                self._show_view(VIEW_BY_NAME[saved.view], saved.filter)
            self.paint_lines()

        self.app.push_screen(Views(self.view.name, self.filter), go)

    def action_filter(self) -> None:
        self.query_one("#filter-bar", FilterBar).open(self.filter)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        self.rows.focus()
        self._show_view(self.view, message.text)

    def on_filter_bar_left(self) -> None:
        self.rows.focus()

    def check_filter(self, text: str) -> list[Term]:
        """The terms that would take long here. Raises FilterError where it is no filter."""
        self.console.source.query(self.view, text)
        return search.slow(self.view, text) if self._is_long() else []

    def _is_long(self) -> bool:
        """The list may be too long to look at its jobs one by one."""
        snapshot = self.console.state.snapshot
        if snapshot is None or self.view.which == State.RUNNING:
            return False
        stats = snapshot.stats
        if self.view.which == FINISHED:
            return sum(stats.outcomes.values()) > LONG
        return max(stats.pending, stats.scheduled) > LONG

    def action_retry(self) -> None:
        self._do("retry")

    def action_cancel(self) -> None:
        self._do("cancel")

    def action_purge(self) -> None:
        self._do("purge")

    def _do(self, name: str) -> None:
        if not self.allowed(name):
            return
        if self.is_all:
            self.console.acting.do(name, Scope(query=self.shown, jobs=tuple(self.rows.in_sight)))
            return
        ids = self._meant()
        meant = set(ids)
        self.console.acting.do(name, Scope(tuple(ids), jobs=tuple(job for job in self.rows.items if job.id in meant)))

    def _meant(self) -> list[int]:
        """What is marked, in the order of the list, else what the cursor is on."""
        if self.marks:
            order = {job.id: place for place, job in enumerate(self.rows.items)}
            return sorted(self.marks, key=lambda job_id: order.get(job_id, -job_id))
        key = self.rows.current_key
        return [key] if isinstance(key, int) else []

    def action_edit(self) -> None:
        from .enqueue import Enqueue, model_of_job

        job = self.rows.current
        if job is not None and self.allowed("edit"):
            self.app.push_screen(Enqueue(model_of_job(job)))

    def action_why(self) -> None:
        job = self.rows.current
        if job is not None:
            self.console.feed.ask(self, "why", lambda source: source.why(job.id))

    def action_stack(self) -> None:
        job = self.rows.current
        if job is not None and self.allowed("stack"):
            self.console.feed.ask(self, "stack", lambda source: source.stack(job.id))

    def action_copy(self) -> None:
        job = self.rows.current
        if job is not None:
            detail = self.detail if self.detail is not None and self.detail.job.id == job.id else None
            command = search.command(self.view, self.filter)
            self.app.push_screen(Copy(choices(job, detail, command)))

    def acted(self, report: Report) -> None:
        self.marks.difference_update(report.done)
        if self.is_all:
            self.is_all = False
        self.paint_lines()

    def why_not(self, action: Action) -> str | None:
        if action.name in ("open", "edit", "copy", "why", "stack", "mark", "mark_range") and self.rows.current is None:
            return "there is no job in this list"
        if action.name == "stack" and self.view.which != State.RUNNING:
            return "only a running job has one"
        if action.act is not None:
            if not self.rows.items:
                return "there is no job in this list"
            if self.view.which not in action.act.states:
                return why_not_in(action, self.view)
        if action.name == "back" and not (self.marks or self.is_all or self.filter or self.sort):
            return "nothing is set"
        return super().why_not(action)


def why_not_in(action: Action, view: View) -> str:
    assert action.act is not None
    allowed = " or ".join(sorted(action.act.states))
    return f"these jobs are {view.which}; only {allowed} ones can be"


def run_seconds(job: JobRecord) -> float | None:
    return (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else None


def peek_lines(job: JobRecord, detail: JobDetail | None) -> list[Text]:
    """The end of the last traceback, else what there is to say."""
    facts = Text.assemble(
        ("args ", theme.style(theme.DIM)), formats.compact(job.arguments, 300),
        *((("  on ", theme.style(theme.DIM)), job.worker) if job.worker else ()),
        *((("  key ", theme.style(theme.DIM)), job.unique_key) if job.unique_key else ()),
        *((("  by ", theme.style(theme.DIM)), job.source) if job.source else ()),
    )  # fmt: skip
    last = next((attempt for attempt in reversed(detail.attempts) if attempt.traceback), None) if detail else None
    if last is not None and last.traceback:
        lines = traceback_lines(last.traceback, is_folded=True, key=None)
        return [facts, *lines[-7:]]
    if job.error_type:
        return [facts, Text(error_of(job), theme.style(theme.BAD))]
    if detail is not None and detail.attempts and detail.attempts[-1].value is not None:
        value = formats.compact(detail.attempts[-1].value, 600)
        return [facts, Text.assemble(("returned ", theme.style(theme.DIM)), value)]
    if detail is not None and detail.attempts and (note := detail.attempts[-1].value_note) is not None:
        return [facts, Text(note, theme.style(theme.WAIT))]
    if detail is not None and job.state == State.PENDING and not detail.known:
        return [facts, Text(f"no live worker knows {job.job_class}: it waits in vain", theme.style(theme.WAIT))]
    return [facts]
