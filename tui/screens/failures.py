"""What broke, since when? Failures in groups of similar ones."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.commands import command
from jobq.errors import FilterError
from jobq.filters import Filter, Term
from jobq.observe import AttemptLog, FailureGroup, at_rest_filter, origin_text

from .. import formats, search, theme
from ..actions import Action, Tier, bindings
from ..context import Context
from ..marks import Marks
from ..messages import Answered, Refused
from ..plans import Plan
from ..scope import Scope
from ..source import VIEW_BY_NAME, NamedReport, Report, Source
from ..troubles import Place
from ..widgets.filterbar import FilterBar
from ..widgets.frame import Line
from ..widgets.lines import Lines
from ..widgets.rows import Rows, held
from .alike import alike
from .base import ConsoleScreen
from .copy import Choice, Copy
from .failure_columns import FailureColumns
from .log_text import last_log_lines
from .sorting import next_order, sorted_by
from .traceback_text import traceback_lines

LAST_LINES = 5
"""Of what the last example of a group logged and printed."""

ALIKE = 50
"""Number of jobs of a group that are compared."""


ON_GROUPS = ("open", "mark", "mark_range", "match_all", "retry", "purge", "mute", "copy", "fold", "log")
"""Actions that need a group."""


class Failures(ConsoleScreen):
    NAME = "failures"
    MAIN = "groups"
    FILTER_HELP = search.GROUP_HELP
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "open", "mark", "retry", "purge", "mute", "narrow", "match_all", "mark_range", "range_less",
        "range_more", "sort", "copy", "fold", "log", "section",
        "undo", "back",
    )  # fmt: skip
    BINDINGS: ClassVar[list[Any]] = bindings(
        "mark", "mark_range", "match_all", "retry", "purge", "mute", "narrow", "sort", "copy", "fold", "log", "section",
        "back",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.groups: tuple[FailureGroup, ...] = ()
        self.filter = ""
        self.chosen = Filter()
        self.marks = Marks()
        self.is_loaded = False
        self.is_folded = True
        self.sort: tuple[str, bool] | None = None
        self._wanted: str | None = None
        self._order: list[Hashable] = []  # the order of the groups, kept while the cursor is on one of them
        self._example: str | None = None
        self._alike: tuple[str, str] = ("", "")  # a group, and what its jobs have in common
        self._asked = ""  # the last group that was compared
        self._log: AttemptLog | None = None  # of an example
        self._asked_log = 0  # of which job

    def body(self) -> ComposeResult:
        yield Line(id="failures-title", classes="heading")
        yield FilterBar(id="filter-bar")
        yield Rows(self.columns.all(), key=lambda group: group.group, empty="", id="groups")
        with Vertical(id="example"):
            yield Line(id="example-title", classes="heading")
            yield Lines(id="example-lines")

    def on_mount(self) -> None:
        self.rows.focus()
        self.rows.dim = lambda group: group.muted_until is not None
        self.rows.marks = self.marks.ids

    @property
    def columns(self) -> FailureColumns:
        return FailureColumns(self.console, lambda: self.size.width >= 140)

    @property
    def rows(self) -> Rows:
        return self.query_one("#groups", Rows)

    def show_place(self, place: Place) -> None:
        """Goes to a group by its name, else sets a filter."""
        if ":" in place.filter:
            self.call_later(self._choose, place.filter)
            return
        self._choose("")
        self._wanted = place.filter
        self.call_later(self.rows.go_to, place.filter)

    def _choose(self, text: str) -> None:
        try:
            self.chosen = search.group_filter(text)
        except FilterError as error:
            self.console.tell(error.problem, is_bad=True)
            return
        self.filter = text
        self.rows.stay_on_top([])
        self.paint()

    # Reading

    def looked(self) -> None:
        seconds = self.console.feed.seconds
        self.console.feed.ask(self, "failures", lambda source: source.failures(seconds))

    def acted(self, report: Report) -> None:
        self.marks.unmark()
        self.looked()

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "alike":
            self._alike = message.value
            self._paint_example()
            return
        if message.name == "log":
            self._log = message.value
            self._paint_example()
            return
        self.groups, self.is_loaded = message.value, True
        self.paint()
        if self._wanted is not None:
            self.rows.go_to(self._wanted)
            self._wanted = None
            self._paint_example()

    def on_refused(self, message: Refused) -> None:
        if message.name in ("alike", "log"):  # it stays unknown
            message.stop()
            message.prevent_default()

    def _ask_alike(self, group: FailureGroup) -> None:
        """Asks once for each group that the cursor reaches."""
        if self._asked == group.group or not group.at_rest:
            return
        self._asked = group.group
        query = self.console.source.query(VIEW_BY_NAME["finished"], self._selected(group))

        def ask(source: Source) -> tuple[str, str]:
            return group.group, alike([job.arguments for job in source.jobs(query, limit=ALIKE, after=None).jobs])

        self.console.feed.ask(self, "alike", ask)

    def _ask_log(self, group: FailureGroup) -> None:
        """What the last example logged and printed last; once for each that somebody comes to."""
        if self._asked_log != group.example_id:
            job_id = self._asked_log = group.example_id
            self.console.feed.ask(self, "log", lambda source: source.log(job_id, None, is_followed=False))

    # Drawing

    def paint(self) -> None:
        super().paint()
        if not self.is_mounted:
            return
        stored_name = self.console.source.stored_name
        groups = [one for one in self.groups if search.fits(one, self.chosen, stored_name(one.job_class))]
        if self.sort is not None:
            groups = sorted_by(self.rows.columns, groups, self.sort)
        newer = 0
        if self.rows.cursor > 0:
            newer = sum(group.group not in self._order for group in groups)
            groups = held(groups, self.rows.key, self._order)
        else:
            self._order = [group.group for group in groups]
        self.rows.sorted_by = self.sort
        period = self.console.period.words
        nothing_failed = f"nothing failed in the last {period}"
        if self.groups and self.filter:
            nothing_failed = f"no group matches: {self.console.shown_key('back')} clears the filter"
        self.rows.empty = nothing_failed if self.is_loaded else f"looking{self.glyphs.more}"
        self.rows.put(groups)
        attempts, at_rest = sum(one.attempts for one in groups), sum(one.at_rest for one in groups)
        title = Text.assemble(
            (f" {self.console.shown_key('narrow')} ", theme.style(theme.KEY, bold=True)),
            (self.filter or "filter", theme.style(theme.DIM)),
            f"   {formats.plural(len(groups), 'group')}, last {period}",
        )  # fmt: skip
        if muted := sum(one.muted_until is not None for one in groups):
            title.append(f"   {muted} muted", theme.style(theme.DIM))
        if newer:
            title.append(f"   {self.glyphs.up} {newer} new, below", theme.style(theme.BUSY, bold=True))
            title.append(f"  {self.console.shown_key('top')} puts all in order", theme.style(theme.DIM))
        if self.marks:
            title.append(f"   {self.glyphs.mark} {len(self.marks.ids)} marked", theme.style(theme.KEY, bold=True))
        figures = f"{formats.plural(attempts, 'failed attempt')}, {formats.plural(at_rest, 'job')} at rest "
        self.query_one("#failures-title", Line).put(title, Text(figures, theme.style(theme.DIM)))
        self._paint_example()
        self.paint_foot()

    def _paint_example(self) -> None:
        group = self.rows.current
        title, lines = self.query_one("#example-title", Line), self.query_one("#example-lines", Lines)
        if not isinstance(group, FailureGroup):
            title.put(Text(""))
            lines.put([])
            return
        about = Text(f" the last one: #{group.example_id}  {formats.arguments(group.arguments, 200)}")
        if group.muted_until is not None:
            about = Text(f" {self.columns.muted(group)}", theme.style(theme.WAIT))
        elif not group.at_rest:
            about = Text.assemble(
                (f" {self.glyphs.tick} all were tried again, or deleted", theme.style(theme.GOOD)),
                f"   {self.glyphs.enter} the attempts of the last one, #{group.example_id}",
            )
        title.put(
            about,
            Text(f"first {formats.stamp(group.ever_first_at, self.console.state.now)} ", theme.style(theme.DIM)),
        )
        self._ask_alike(group)
        self._ask_log(group)
        common = self._alike[1] if self._alike[0] == group.group else ""
        evidence = self._evidence(group)
        lines.put(
            [*self._origin(group), *evidence, *([Text(common, theme.style(theme.DIM))] if common else [])],
            keep_place=group.group == self._example,
            is_end_first=True,  # the end of a traceback says what was wrong
        )
        self._example = group.group

    def _origin(self, group: FailureGroup) -> list[Text]:
        """Since which build it is there, where builds are known."""
        origin = group.origin
        if origin is None or not (origin.build or origin.builds):
            return []
        colour = theme.BAD if origin.back_in else theme.WAIT
        return [Text(origin_text(origin, self.console.state.now), theme.style(colour))]

    def _evidence(self, group: FailureGroup) -> list[Text]:
        evidence = traceback_lines(group.traceback, is_folded=self.is_folded) if group.traceback else []
        evidence = evidence or [Text(group.error_message or "", theme.style(theme.BAD))]
        if self._log is not None and self._log.job_id == group.example_id:
            evidence += last_log_lines(self._log, LAST_LINES)
        return evidence

    # Keys

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._paint_example()
        self.paint_foot()

    def on_rows_topped(self, message: Rows.Topped) -> None:
        self.paint()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        group = message.rows.current
        if not isinstance(group, FailureGroup):
            return
        if group.at_rest:
            self.console.navigation.go(Place("jobs", "finished", self._selected(group)))
        else:  # the list of jobs at rest would be empty
            self.console.navigation.open_job(group.example_id)

    @property
    def chosen_groups(self) -> list[FailureGroup]:
        """The marked groups, also those that the filter hides; else the one under the cursor."""
        marked = [group for group in self.groups if group.group in self.marks.ids]
        return marked or ([self.rows.current] if isinstance(self.rows.current, FailureGroup) else [])

    def _selected(self, *groups: FailureGroup) -> str:
        return at_rest_filter(",".join(group.group for group in groups), self.console.period.words)

    def action_mark(self) -> None:
        if isinstance(self.rows.current, FailureGroup):
            self.marks.toggle(self.rows.current.group)
            self.rows.action_move(1)

    def action_mark_range(self) -> None:
        if isinstance(self.rows.current, FailureGroup):
            self.marks.add_range([group.group for group in self.rows.items], self.rows.current.group)
            self.paint()

    def action_match_all(self) -> None:
        """Marks all shown groups. If all are marked, unmarks them."""
        shown = {group.group for group in self.rows.items}
        if shown <= self.marks.ids:
            self.marks.unmark()
        else:
            self.marks.ids.update(shown)
        self.paint()

    def action_retry(self) -> None:
        self._do("retry")

    def action_purge(self) -> None:
        self._do("purge")

    def _do(self, name: str) -> None:
        """The jobs that a group's row counts: those that failed in the period and are at rest."""
        groups = self.chosen_groups
        if groups and self.allowed(name):
            query = self.console.source.query(VIEW_BY_NAME["finished"], self._selected(*groups))
            self.console.acting.do(name, Scope(query=query, about=about(groups)))

    def action_mute(self) -> None:
        groups = self.chosen_groups
        if groups and self.allowed("mute"):
            mute(self.console, groups)

    def action_narrow(self) -> None:
        self.query_one("#filter-bar", FilterBar).open(self.filter)

    def check_filter(self, text: str) -> list[Term]:
        """No term is slow here. Raises FilterError if it is not a filter of groups."""
        search.group_filter(text)
        return []

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        self.rows.focus()
        self._choose(message.text)

    def on_filter_bar_left(self) -> None:
        self.rows.focus()

    def action_back(self) -> None:
        """Clears the marks first, then the filter."""
        if self.marks:
            self.marks.unmark()
            self.paint()
        elif self.filter:
            self._choose("")

    def action_sort(self) -> None:
        self.sort = next_order(self.rows.columns, self.sort, self.size.width)
        self.rows.action_top()

    def action_fold(self) -> None:
        self.is_folded = not self.is_folded
        self._paint_example()

    def action_log(self) -> None:
        if isinstance(group := self.rows.current, FailureGroup):
            self.console.navigation.open_job(group.example_id, section="Log")

    def action_section(self) -> None:
        lines = self.query_one("#example-lines", Lines)
        (self.rows if lines.has_focus else lines).focus()

    def action_copy(self) -> None:
        group = self.rows.current
        if isinstance(group, FailureGroup):
            selected, names = self._selected(*self.chosen_groups), [one.group for one in self.chosen_groups]
            choices = [
                Choice("y", "what is shown", "\n".join(line.plain for line in self._evidence(group))),
                Choice("t", "the last traceback", group.traceback or group.error_message or ""),
                Choice("i", "the id of the last one", str(group.example_id)),
                Choice("v", "the command that retries them", command("retry", selected)),
                Choice("l", "the command that lists them", command("list", selected)),
                Choice("m", "the command that mutes them", command("failures", "mute", *names)),
            ]
            self.app.push_screen(Copy(choices))

    def why_not(self, action: Action) -> str | None:
        group = self.rows.current
        if action.name in ON_GROUPS and not isinstance(group, FailureGroup):
            return "there are no groups of failures"
        if action.name == "back" and not (self.filter or self.marks):
            return "nothing is set"
        if action.name in ("retry", "purge") and not any(one.at_rest for one in self.chosen_groups):
            return "all of these jobs were tried again, or are gone"
        return super().why_not(action)


def about(groups: Sequence[FailureGroup]) -> str:
    """The target of an act on groups, in words."""
    if len(groups) == 1:
        return f"{groups[0].job_class}  {groups[0].error_type or 'failed'}"
    causes = dict.fromkeys(f"{group.error_type or 'failed'} of {group.job_class}" for group in groups)
    return f"{len(groups)} groups: {formats.listed(causes)}"


def mute(console: Context, groups: Sequence[FailureGroup]) -> None:
    """Mutes groups for a day, or unmutes them if all are muted. Asks first only on production."""
    verb, target = ("mute" if any(one.muted_until is None for one in groups) else "unmute"), console.source.target
    named = {one.group: f"{one.error_type or 'failures'} of {one.job_class}" for one in groups}
    plan = None
    if target.is_production:
        told = "they are not reported for a day" if verb == "mute" else "they are reported again"
        title = f"{verb.capitalize()} {formats.listed(named.values())} on PROD {target.name}"
        plan = Plan(verb, title, (("effect", f"{told}; jobs stay as they are"),), len(named), Tier.TYPED, is_bad=True)

    def deed(source: Source) -> NamedReport:
        report = source.act_on_failures(verb, list(named))
        done = tuple(named.get(name, name) for name in report.done)
        return replace(report, done=done, skipped={named.get(name, name): why for name, why in report.skipped.items()})

    console.acting.do_named(plan, deed)
