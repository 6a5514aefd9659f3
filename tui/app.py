"""The console: its screens, what they share, and what passes between them and the feed."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen

from jobq.errors import SchemaAhead, SchemaBehind, SchemaMissing
from jobq.observe import Selected
from jobq.records import JobRecord

from . import formats, keys, screens, theme
from .access import WRITE_SECONDS
from .actions import BY_NAME, Act, Tier, acts
from .feed import Feed
from .messages import Acted, Answered, Broke, Looked, Lost, Progressed, Refused
from .plain import KEYS, Plain
from .preferences import Preferences
from .replay import WHY_NOT, Replay
from .samples import Samples
from .screens.base import ConsoleScreen
from .source import VIEW_BY_NAME, VIEWS, NamedReport, NewJob, Query, Report, Snapshot, Source
from .stylesheet import ReadOnce
from .tabs import TABS
from .troubles import Place, Trouble, troubles

if TYPE_CHECKING:
    from .screens.confirm import Plan
    from .screens.palette import Entry

DEFAULT_EVERY = 1.0

PERIODS = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
"""Seconds that the figures may be of."""

SCHEMA_ERRORS = (SchemaMissing, SchemaBehind, SchemaAhead)


EVERYWHERE = (
    "look", "freeze", "help", "palette", "actions", "quit", "enqueue", "undo", "range_less", "range_more",
    "step_back", "step_on", "minute_back", "minute_on", "speed",
)  # fmt: skip
"""Actions that every screen has."""

PLAIN = Plain()

ALSO = {"top": ("home",), "bottom": ("end",)}
"""Keys that an action keeps, whatever other key it gets."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an act is on: some jobs by their ids, or all that a query selects."""

    ids: tuple[int, ...] = ()
    query: Query | None = None
    jobs: tuple[JobRecord, ...] = ()  # of the ids: those that are loaded; of a query: those on the screen
    about: str | None = None  # what a query's jobs are, in words


def tab_screen(name: str) -> Screen[Any]:
    screen: Screen[Any] = getattr(screens, name)()
    return screen


class Console(App[None]):
    TITLE = "jobq"
    MODES: ClassVar[dict[str, Any]] = {name: partial(tab_screen, tab.screen) for name, tab in TABS.items()}
    DEFAULT_MODE = "overview"
    CSS_PATH: ClassVar[list[Any]] = sorted(
        Path(__file__).parent.rglob("*.tcss"), key=lambda path: path.name != "tokens.tcss"
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-broad")]  # noqa: RUF012 - Textual declares them so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (31, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = [
        *(Binding(str(number), f"tab({name!r})", show=False) for number, name in enumerate(TABS, 1)),
        *(
            Binding(BY_NAME[name].key, name, show=False, id=name)
            for name in EVERYWHERE
        ),
        Binding("ctrl+p", "palette", show=False),
    ]

    def __init__(
        self,
        source: Source,
        *,
        every: float | None = DEFAULT_EVERY,
        clock: Callable[[], float] = monotonic,
        is_ascii: bool = False,
        has_braille: bool = True,
        place: Place | None = None,
        preferences: Preferences | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.glyphs = theme.ASCII if is_ascii else theme.UNICODE if has_braille else theme.BLOCKS
        self.is_ascii = is_ascii
        self.clock = clock
        self.place = place
        self.feed = Feed(source, self, every=every)
        self.replay = source if isinstance(source, Replay) else None
        self.snapshot: Snapshot | None = None
        self.lost: Lost | None = None
        self.preferences = preferences or Preferences()
        self.other_keys, self._key_problems = keymap(self.preferences.keys)
        self.samples = Samples()
        self.troubles: tuple[Trouble, ...] = ()
        self.is_frozen = False
        self.doing: str | None = None  # the act that goes on, in words
        self._looked_at = 0.0
        self._doing_to = 0
        self._is_writing = False  # on production, since :write
        self.register_theme(theme.THEME)
        self.theme = "jobq"
        self.stylesheet = ReadOnce(variables=self.get_css_variables())

    # What the screens ask

    @property
    def now(self) -> datetime:
        """The database's clock, as it stands since it was last read."""
        if self.snapshot is None:
            return datetime.now(UTC)
        return self.snapshot.at + timedelta(seconds=self.age)

    @property
    def age(self) -> float:
        """Seconds since the last look."""
        if self.replay is not None:
            return self.replay.age
        return max(0.0, self.clock() - self._looked_at)

    @property
    def console_screen(self) -> ConsoleScreen | None:
        """The screen that is seen, or is beneath the dialogs."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, ConsoleScreen)), None)

    def shown_key(self, name: str) -> str:
        """The key of an action as this person has it, as people write it."""
        key = keys.shown(self.other_keys[name]) if name in self.other_keys else BY_NAME[name].keys
        return KEYS.get(key, key) if self.is_ascii else key

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([PLAIN] if self.is_ascii else [])]

    def forbidden(self, verb: str) -> str | None:
        """Why the database's role may not do that, as far as is known; None where it may."""
        return self.snapshot.forbidden.get(verb) if self.snapshot is not None else None

    def why_not_write(self) -> str | None:
        if self.replay is not None:
            return WHY_NOT
        if (why := self.source.access.why_not()) is not None:
            return why
        if self.lost is not None:
            return "the database cannot be reached"
        if self.doing is not None:
            return f"wait until this is done: {self.doing}"
        return None

    # Beginning, ending

    def on_mount(self) -> None:
        if self.is_ascii:
            self.add_class("-ascii")
        self.set_keymap({name: ",".join([key, *ALSO.get(name, ())]) for name, key in self.other_keys.items()})
        problems = [*self.preferences.problems, *(f"[keys] {problem}" for problem in self._key_problems)]
        if problems:
            self.tell("\n".join(problems), is_bad=True)
        self._leave_when_told()
        self.feed.start()
        if self.feed.every is not None:
            self.set_interval(1.0, self._tick)

    def _leave_when_told(self) -> None:
        """A terminal that is closed, or a kill, ends it as q does: the demonstration's worker ends with it, too."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError):  # on Windows, or outside the main thread
            for name in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(name, self.exit)

    def on_unmount(self) -> None:
        self.feed.stop()

    def _tick(self) -> None:
        if self._is_writing and not self.source.access.seconds:
            self._stop_writing(f"the {formats.age(WRITE_SECONDS)} are over: this is read-only again")
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.paint_head()
            elif isinstance(screen, screens.Waiting):
                screen.paint()

    def on_app_blur(self) -> None:
        self.feed.is_away = True

    def on_app_focus(self) -> None:
        self.feed.is_away = False
        self.feed.look()

    # What the feed tells

    def on_looked(self, message: Looked) -> None:
        if self.is_frozen or not self.screen_stack:  # a word of the feed may come when the console is closing
            return
        if self.replay is not None:
            self._follow_replay(message.snapshot)
        self.snapshot = message.snapshot
        self._looked_at = self.clock()
        self.lost = None
        self.samples.add(message.snapshot.stats)
        self.troubles = troubles(message.snapshot, self.samples)
        if isinstance(self.screen, screens.Waiting):
            self.pop_screen()
        if self.place is not None:
            place, self.place = self.place, None
            self.go(place)
        self._paint(is_new=True)

    def _follow_replay(self, snapshot: Snapshot) -> None:
        """The figures are of the period that they were of; and nothing is compared with what came later."""
        period = snapshot.period
        length = (period.until - period.since).total_seconds()
        self.feed.seconds = min(PERIODS, key=lambda seconds: abs(seconds - length))
        if self.snapshot is not None and snapshot.at < self.snapshot.at:
            self.samples = Samples()

    def on_lost(self, message: Lost) -> None:
        self.lost = message
        if self.snapshot is None or isinstance(message.error, SCHEMA_ERRORS):
            waiting = next((screen for screen in self.screen_stack if isinstance(screen, screens.Waiting)), None)
            if waiting is None:
                self.push_screen(screens.Waiting(message))
            else:
                waiting.put(message)
        self._paint()

    def on_broke(self, message: Broke) -> None:
        raise message.error

    def on_progressed(self, message: Progressed) -> None:
        of = f" of {formats.count(self._doing_to)}" if self._doing_to else ""
        words = "counting what matches:" if message.name == "select" else message.name
        self.doing = f"{words} {formats.count(message.seen)}{of}"
        self._paint_heads()

    def on_answered(self, message: Answered) -> None:
        if message.name == "select":
            self.doing = None
            self._plan(*message.value)
        elif message.name == "enqueue":
            self._enqueued(message.value)
        elif message.name == "named":
            self.doing = None
            self._tell_named(message.value)
        elif message.name == "migrate":
            self.tell("the schema is up to date")
            self.feed.look()
        self._paint_heads()

    def on_refused(self, message: Refused) -> None:
        self.doing = None
        self.tell(str(message.error), is_bad=True)
        self._paint_heads()

    def on_acted(self, message: Acted) -> None:
        self.doing = None
        report = message.report
        done = next((act.done for act in acts() if act.verb == report.verb), f"{report.verb}:")
        if report.skipped:
            self.push_screen(screens.Outcome(report, done))
        elif report.done or report.asked or report.names:
            hint = "" if report.verb.startswith("undo") else f"   {self.shown_key('undo')} undoes it, for a minute"
            self.tell(told(report, done) + hint)
        else:
            self.tell("no job was left to act on")
        screen = self.console_screen
        if screen is not None:
            screen.acted(report)
        self._paint_heads()

    # Doing

    def do(self, name: str, scope: Scope) -> None:
        """Begins an act: fixes the set, asks as much as the act needs, does it, tells what came of it."""
        act = BY_NAME[name].act
        assert act is not None
        if scope.query is not None:
            self.doing = "counting what matches"
            self._doing_to = 0
            query = scope.query
            self.feed.act(self, "select", lambda source, progress: (act, scope, source.select(query, progress)))
            self._paint_heads()
            return
        classes = Counter(job.job_class for job in scope.jobs).most_common()
        self._plan(act, scope, Selected(scope.ids, tuple(classes)))

    def _plan(self, act: Act, scope: Scope, selected: Selected) -> None:
        if not selected.ids:
            self.tell("no job matches")
            return
        tier = act.tier(len(selected.ids), is_production=self.source.target.is_production)
        if tier is Tier.NONE:
            self._run(act, selected.ids, scope)
            return
        from .screens.confirm import plan_for_jobs

        plan = plan_for_jobs(self, act, selected, scope, tier)

        def run(is_sure: bool | None) -> None:
            if is_sure:
                self._run(act, selected.ids, scope)

        self.push_screen(screens.Confirm(plan), run)

    def _run(self, act: Act, ids: tuple[int, ...], scope: Scope) -> None:
        self.doing, self._doing_to = f"{act.verb} {formats.plural(len(ids), 'job')}", len(ids)
        text = str(scope.query) if scope.query else None
        self.feed.act(self, act.verb, lambda source, progress: source.act(act.verb, ids, progress, text))
        self._paint_heads()

    def do_named(self, plan: "Plan | None", deed: Callable[[Source], NamedReport]) -> None:
        """An act on what has a name, after a yes where there is a plan to say yes to."""

        def run(is_sure: bool | None) -> None:
            if is_sure:
                self.feed.act(self, "named", lambda source, _progress: deed(source))

        if plan is None:
            run(True)
        else:
            self.push_screen(screens.Confirm(plan), run)

    def _tell_named(self, report: NamedReport) -> None:
        for name in report.done:
            job = f" as #{report.jobs[name]}" if name in report.jobs else ""
            hint = "   z undoes it, for a minute" if report.done_words == "paused" else ""
            self.tell(f"{report.done_words} {name}{job}{hint}")
        for name, why in report.skipped.items():
            self.tell(f"{name} was left alone: {why}", is_bad=True)

    def undo(self, act_id: int | None) -> None:
        self.feed.act(self, "undo", lambda source, _progress: source.undo(act_id))

    def action_undo(self) -> None:
        if (why := self.forbidden("undo") or self.why_not_write()) is not None:
            self.tell(f"undo: {why}", is_bad=True)
        elif isinstance(self.screen, ConsoleScreen):
            self.undo(None)

    @property
    def period_words(self) -> str:
        return formats.age(self.feed.seconds)

    def action_range_less(self) -> None:
        self._change_period(-1)

    def action_range_more(self) -> None:
        self._change_period(1)

    def _change_period(self, step: int) -> None:
        """Another period for all figures; they are read anew at once."""
        if not isinstance(self.screen, ConsoleScreen):
            return
        if self.replay is not None:
            self.tell("a recording has the figures of the period that was looked at", is_bad=True)
            return
        place = min(max(PERIODS.index(self.feed.seconds) + step, 0), len(PERIODS) - 1)
        self.feed.seconds = PERIODS[place]
        self.feed.look()
        self._paint_heads()
        self.screen.looked()

    def enqueue(self, new: NewJob) -> None:
        self.feed.act(self, "enqueue", lambda source, _progress: source.enqueue(new))

    def _enqueued(self, record: Any) -> None:
        if record is None:
            self.tell("nothing was enqueued: an unfinished job of this class holds the unique key", is_bad=True)
        else:
            self.tell(f"enqueued {record.job_class} as #{record.id} in {record.queue}: {record.state}")

    def migrate(self) -> None:
        def deed(source: Source, _progress: Any) -> None:
            source.migrate()

        self.feed.act(self, "migrate", deed)

    def tell(self, text: str, *, is_bad: bool = False) -> None:
        """Says something in passing. Never markup: the text may be anybody's."""
        seconds = 8.0 if is_bad else 4.0
        if self.feed.every is None:  # a console that does not move by itself keeps what it said, too
            seconds = 3600.0
        self.notify(text, severity="error" if is_bad else "information", timeout=seconds, markup=False)

    def copy(self, what: str, text: str) -> None:
        self.copy_to_clipboard(text)
        self.tell(f"copied {what}")

    # Going

    def go(self, place: Place) -> None:
        self.switch_mode(place.screen)
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            screen.lead_to(place)

    def open_job(self, job_id: int, ids: Iterable[int] = ()) -> None:
        """The page of a job; `ids` are its neighbours in the list that it was opened from."""
        self.push_screen(screens.JobPage(job_id, tuple(ids)))

    def action_tab(self, name: str) -> None:
        if isinstance(self.screen, ConsoleScreen):
            self.switch_mode(name)

    def action_look(self) -> None:
        """Once, whatever the pace is."""
        if isinstance(self.screen, ConsoleScreen) and not self.is_frozen and self.replay is None:
            self.feed.look()

    def action_freeze(self) -> None:
        if self.replay is not None:
            self._move_replay(self.replay.toggle)
            return
        self.is_frozen = not self.is_frozen
        self.feed.is_frozen = self.is_frozen
        if not self.is_frozen:
            self.feed.look()
        self._paint()

    def action_step_back(self) -> None:
        if self.replay is not None:
            self._move_replay(partial(self.replay.step, -1))

    def action_step_on(self) -> None:
        if self.replay is not None:
            self._move_replay(partial(self.replay.step, 1))

    def action_minute_back(self) -> None:
        if self.replay is not None:
            self._move_replay(partial(self.replay.seek, -60.0))

    def action_minute_on(self) -> None:
        if self.replay is not None:
            self._move_replay(partial(self.replay.seek, 60.0))

    def action_speed(self) -> None:
        if self.replay is not None:
            self._move_replay(self.replay.faster)

    def _move_replay(self, move: Callable[[], None]) -> None:
        """To another moment of the recording; what is shown follows at once."""
        if isinstance(self.screen, ConsoleScreen):
            move()
            self.feed.look()
            self._paint_heads()

    def action_help(self) -> None:
        screen = self.console_screen
        if screen is not None and self.screen is screen:
            barred = {name: screen.why_barred(BY_NAME[name]) for name in screen.action_names}
            off = {name: why for name, why in barred.items() if why is not None}
            where = screen.WORDS or TABS[screen.NAME].words
            self.push_screen(screens.Help(screen.action_names, where, off, screen.FILTER_HELP))

    def action_actions(self) -> None:
        screen = self.console_screen
        if screen is not None and self.screen is screen:
            self.push_screen(screens.Palette(screen.menu(), "All actions here"))

    def action_palette(self) -> None:
        screen = self.console_screen
        if screen is not None and self.screen is screen:
            entries = [*screen.menu(), *self._access(), *self._places()]
            self.push_screen(screens.Palette(entries, "Command, or the number of a job"))

    def action_enqueue(self) -> None:
        if (why := self.forbidden("enqueue") or self.why_not_write()) is not None:
            self.tell(why, is_bad=True)
        elif isinstance(self.screen, ConsoleScreen):
            self.push_screen(screens.Enqueue())

    def _access(self) -> "list[Entry]":
        """On production: how changes are allowed, and how not any more."""
        from .screens.palette import Entry

        if self.replay is not None or not self.source.target.is_production:
            return []
        if self._is_writing:
            return [Entry("", "read-only", "Change nothing any more.", None, self._stop_writing)]
        words = f"Allow changes for {formats.age(WRITE_SECONDS)}: asks for the target's name."
        off = None if self.source.access.is_limited else self.source.access.why_not()
        return [Entry("", "write", words, off, self._ask_to_write)]

    def _ask_to_write(self) -> None:
        def begin(is_sure: bool | None) -> None:
            if is_sure:
                self.source.access.open()
                self._is_writing = True
                self.tell(f"changes are allowed for {formats.age(WRITE_SECONDS)}")
                self._paint()

        self.push_screen(screens.Write(), begin)

    def _stop_writing(self, words: str = "this is read-only again") -> None:
        self.source.access.close()
        self._is_writing = False
        self.tell(words)
        self._paint()

    async def action_quit(self) -> None:
        self.exit()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        return ()

    def _places(self) -> "list[Entry]":
        """Where one can go from everywhere."""
        from .screens.palette import Entry

        tabs = [
            Entry(str(number), tab.words, tab.question, None, partial(self.action_tab, name))
            for number, (name, tab) in enumerate(TABS.items(), 1)
        ]
        lists = [
            Entry("", f"{view.name} jobs", "their list", None, partial(self.go, Place("jobs", view.name)))
            for view in VIEWS
        ]
        views = [
            Entry(self.shown_key("views"), f"view {saved.name}", f"{saved.view} {saved.filter}", None,
                  partial(self.go, Place("jobs", saved.view, saved.filter)))
            for saved in self.preferences.views
        ]  # fmt: skip
        return [*views, *tabs, *lists]

    # Painting

    def _paint(self, *, is_new: bool = False) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen) and screen.is_mounted:
                screen.paint()
                if is_new:
                    screen.looked()

    def _paint_heads(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen) and screen.is_mounted:
                screen.paint_frame()

    def _fatal_error(self) -> None:
        """As Textual's, without the values of local variables: there is an address with a password among them."""
        import rich.traceback
        from rich.segment import Segments

        self.bell()
        traceback = rich.traceback.Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()


def keymap(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The keys that are other than usual, by the names of the actions; and what is wrong with what was wanted."""
    if not wanted:
        return {}, []
    names = [*(tab.screen for tab in TABS.values()), "JobPage"]
    return keys.keymap(wanted, [[*getattr(screens, name).ACTIONS, *EVERYWHERE] for name in names])


def told(report: Report, done: str) -> str:
    """What came of an act, in a few words."""
    shown = ", ".join(f"#{job_id}" for job_id in report.done[:3])
    jobs = shown if 0 < len(report.done) <= 3 else formats.plural(len(report.done), "job")
    parts = [f"{done} {jobs}"] if report.done else []
    if report.names:
        parts.append(f"{done} {', '.join(report.names)}")
    if report.asked:
        parts.append(f"asked {formats.plural(len(report.asked), 'running job')} to end")
    return ", ".join(parts)


def place_of(text: str) -> Place:
    """A place as it is written on the command line: `jobs`, `jobs/errored`, `jobs/errored/queue:mail since:1h`."""
    screen, _, rest = text.partition("/")
    first, _, chosen = rest.partition("/")
    if first in VIEW_BY_NAME:
        return Place(screen, first, chosen)
    return Place(screen, "", re.sub(r"^/", "", rest))
