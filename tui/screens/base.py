"""What all screens have in common: the frame, the keys that work now, and why the others do not."""

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen

from jobq.states import Outcome

from .. import formats, theme
from ..actions import BY_NAME, VERBS, Action
from ..context import Context, context_of
from ..entries import Entry
from ..feed import OFF
from ..messages import Refused
from ..replay import Replay
from ..source import Report
from ..tabs import TABS
from ..troubles import Place
from ..widgets.frame import Line, keys_line, spread, tab_text

REPLAY = ("step_back", "step_on", "minute_back", "minute_on", "speed")
COMMON = (*REPLAY, "freeze", "actions", "palette", "help", "quit")
STALE_SECONDS = 5.0

TINY = (60, 18)
"""Columns and lines below which a window has no room but for a list."""


class ConsoleScreen(Screen[None]):
    """Draws the last snapshot; waits for nothing."""

    AUTO_FOCUS = ""
    NAME: ClassVar[str] = ""  # of the tab that it is, or belongs to
    WORDS: ClassVar[str | None] = None  # what it is called, where that is not its tab's name
    MAIN: ClassVar[str] = ""  # the list that is left where the window is very small
    ACTIONS: ClassVar[tuple[str, ...]] = ()
    VERBS: ClassVar[dict[str, str]] = VERBS
    FILTER_HELP: ClassVar[tuple[tuple[str, str], ...]] = ()  # where it has a filter: its words
    is_tiny = False
    _leads_to: Place | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="head")
        yield Line(id="tabs")
        yield from self.body()
        yield Line(id="foot")

    def body(self) -> ComposeResult:
        raise NotImplementedError

    # What a screen does of its own

    def paint(self) -> None:
        """Draws everything anew from what is known."""
        self.paint_frame()

    def looked(self) -> None:
        """There is a new snapshot: ask for what only this screen shows."""

    def acted(self, report: Report) -> None:
        """An act that began here, or elsewhere, is over."""

    def lead_to(self, place: Place) -> None:
        """Goes to a place on this screen: once it is there, where it has never been opened before."""
        if self.query("#foot"):
            self.show_place(place)
        else:
            self._leads_to = place

    def show_place(self, place: Place) -> None:
        """Goes to a list, a filter or a row of its own."""

    def why_not(self, action: Action) -> str | None:
        """Why an action cannot be done now; None where it can."""
        if (why := self.why_barred(action)) is not None:
            return why
        return self.console.acting.why_not() if action.writes else None

    def why_barred(self, action: Action) -> str | None:
        """Why an action cannot be done whatever is on the screen: the database's role, or this console's access."""
        if self.console.state.replay is not None:
            return None
        verb = self.VERBS.get(action.name)
        why = self.console.state.forbidden(verb) if verb is not None else None
        return why or (self.console.source.access.why_not() if action.writes else None)

    # What the others need

    @property
    def console(self) -> Context:
        return context_of(self)

    @property
    def glyphs(self) -> theme.Glyphs:
        return self.console.glyphs

    @property
    def is_wide(self) -> bool:
        return self.app.size.width >= 100

    @property
    def action_names(self) -> list[str]:
        abilities = self.console.source.abilities
        names = [*self.ACTIONS, *(name for name in COMMON if name not in self.ACTIONS)]
        return [name for name in names if BY_NAME[name].needs is None or BY_NAME[name].needs in abilities]

    def menu(self) -> list[Entry]:
        """Everything that can be done here, with what forbids it now."""
        key = self.console.shown_key
        return [
            Entry(key(action.name), action.words, action.help, self.why_not(action), self.runner(action.name))
            for action in (BY_NAME[name] for name in self.action_names)
            if action.name not in ("actions", "palette")
        ]

    def runner(self, name: str) -> Callable[[], Any]:
        owners = [one for one in (self, self.focused, self.app) if hasattr(one, f"action_{name}")]
        return getattr(owners[0], f"action_{name}")  # type: ignore[no-any-return]  # a method

    def allowed(self, name: str) -> bool:
        """Whether an action can be done now; says why where it cannot."""
        why = self.why_not(BY_NAME[name])
        if why is not None:
            self.console.tell(f"{BY_NAME[name].words}: {why}", is_bad=True)
        return why is None

    def on_refused(self, message: Refused) -> None:
        """A question came to nothing. Where the database is lost, the frame says so already."""
        message.stop()
        if self.console.state.lost is None:
            self.console.tell(str(message.error), is_bad=True)

    # The frame

    def on_mount(self) -> None:
        self.paint()
        if self._leads_to is not None:
            place, self._leads_to = self._leads_to, None
            self.show_place(place)

    def on_descendant_focus(self) -> None:
        self.paint_foot()

    def on_resize(self) -> None:
        self._make_room()
        self.call_after_refresh(self.paint)

    def _make_room(self) -> None:
        """In a very small window there are only the list that matters and one line of keys."""
        size = self.app.size
        self.is_tiny = size.width < TINY[0] or size.height < TINY[1]
        self.set_class(self.is_tiny, "-tiny")
        if self.is_tiny:
            self.query_one(f"#{self.MAIN}").focus()

    def on_screen_resume(self) -> None:
        self.paint()
        if self.console.state.snapshot is not None:
            self.looked()

    def paint_frame(self) -> None:
        if not self.is_mounted:
            return
        self.paint_head()
        self.query_one("#tabs", Line).update(self._tabs())
        self.paint_foot()
        self.set_class(self.console.state.lost is not None, "-lost")

    def paint_head(self) -> None:
        self.query_one("#head", Line).put(self._where(), self._live())

    def paint_foot(self) -> None:
        shown = [
            action
            for action in (BY_NAME[name] for name in self.action_names)
            if self.why_not(action) is None and action.group != "move"
        ]
        leading = [action for action in shown if action.name not in COMMON]
        if self.console.state.replay is not None:
            leading = [*(action for action in shown if action.name in (*REPLAY, "freeze")), *leading]
        always = [action for action in shown if action.name in ("actions", "help", "quit")]
        if self.is_tiny:
            always = [action for action in always if action.name != "actions"]
            drawn = keys_line([(self._key(action), action.words) for action in always], 0)
            hint, width = Text(" larger window shows more ", theme.style(theme.DIM)), self.app.size.width
            has_room = drawn.cell_len + hint.cell_len <= width
            self.query_one("#foot", Line).update(spread(drawn if has_room else Text(""), hint, width))
            return
        keys = [(self._key(action), action.words) for action in [*leading, *always]]
        own = [BY_NAME[name] for name in self.ACTIONS]
        barred = [(self._key(action), action.words) for action in own if self.why_barred(action) is not None]
        self.query_one("#foot", Line).update(keys_line(keys, self.app.size.width, barred))

    def _key(self, action: Action) -> str:
        key = self.console.shown_key(action.name)
        return self.glyphs.enter if key == BY_NAME["open"].keys else key

    def _where(self) -> Text:
        target = self.console.source.target
        text = Text.assemble((" jobq ", theme.style(theme.KEY, bold=True, reverse=True)), no_wrap=True)
        if target.is_production:
            text.append("  PROD ", f"bold #ffffff on {theme.BAD}")
        if badge := self.console.source.badge:
            text.append(f" {badge} ", theme.style(theme.BUSY, bold=True, reverse=True))
        name = target.name if self.is_wide else target.name.rpartition("@")[2]
        text.append(f"  {name}", theme.style(theme.TEXT))
        if target.schema != "jobq":
            text.append(f" {target.schema}", theme.style(theme.DIM))
        access = self.console.source.access
        if access.why_not() is not None:
            text.append("  read-only", theme.style(theme.WAIT))
        elif access.is_limited:
            text.append(f"  write, {access.left()} left", theme.style(theme.BUSY, bold=True))
        if self.console.acting.doing is not None:
            text.append(f"   {self.glyphs.arrow} {self.console.acting.doing}", theme.style(theme.BUSY, bold=True))
        return text

    def _live(self) -> Text:
        console, glyphs = self.console, self.glyphs
        clock = f"  {formats.clock(console.state.now)}{' UTC' if self.is_wide else ''} "
        if console.state.snapshot is None:
            return Text.assemble((f"{glyphs.silent} looking", theme.style(theme.WAIT)), " ")
        if console.state.replay is not None:
            return Text.assemble((self._pace(console.state.replay), theme.style(theme.BUSY, bold=True)), self._then())
        if console.state.is_frozen:
            word = f"{glyphs.frozen} frozen {formats.age(console.state.age)}"
            return Text.assemble((word, theme.style(theme.BUSY, bold=True)), clock)
        if console.state.lost is not None:
            word = f"{glyphs.trouble} {formats.age(console.state.age)} old, reconnecting ({console.state.lost.tries})"
            return Text.assemble((word, theme.style(theme.BAD, bold=True)), clock)
        if console.feed.every == OFF:
            word = f"{glyphs.frozen} {formats.age(console.state.age)} old, {console.shown_key('look')} looks"
            return Text.assemble((word, theme.style(theme.BUSY, bold=True)), clock)
        pace = console.feed.pace
        if pace is not None and console.state.age > max(STALE_SECONDS, 3 * pace):
            word = f"{glyphs.trouble} {formats.age(console.state.age)} old"
            return Text.assemble((word, theme.style(theme.WAIT)), clock)
        live = f"{glyphs.live} live" + (f" {pace:g}s" if pace is not None else "")
        live = f"last {console.period.words}   {live}" if self.is_wide else live
        return Text.assemble((live, theme.style(theme.GOOD)), clock)

    def _pace(self, replay: Replay) -> str:
        """How a recording is being shown."""
        lost = f"{self.glyphs.trouble} the database was lost   " if self.console.state.lost is not None else ""
        if replay.is_paused:
            return f"{lost}{self.glyphs.frozen} paused"
        return f"{lost}at its end" if replay.is_over else f"{lost}{self.glyphs.states['running']} {replay.speed}×"

    def _then(self) -> str:
        return f"  {self.console.state.now:%Y-%m-%d %H:%M:%S}{' UTC' if self.is_wide else ''} "

    def _tabs(self) -> Text:
        drawn = self._tabs_of(is_long=True)
        return drawn if drawn.cell_len <= self.app.size.width else self._tabs_of(is_long=False)

    def _tabs_of(self, *, is_long: bool) -> Text:
        text = Text("", no_wrap=True)
        for number, (name, tab) in enumerate(TABS.items(), 1):
            figure, is_bad = self._figure(name)
            words = tab.words if is_long else tab.short
            text.append_text(tab_text(number, words, figure, is_here=name == self.NAME, is_bad=is_bad))
            text.append("  " if is_long and number < len(TABS) else "")
        return text

    def _figure(self, name: str) -> tuple[str, bool]:
        """What stands behind the name of a screen in the tabs, and whether it is bad."""
        snapshot = self.console.state.snapshot
        if snapshot is None:
            return "", False
        stats = snapshot.stats
        if name == "overview":
            return (str(len(self.console.state.troubles)) if self.console.state.troubles else ""), True
        if name == "jobs":
            return formats.short(stats.pending + stats.scheduled + stats.running), False
        if name == "failures":
            groups = sum(group.at_rest > 0 and group.muted_until is None for group in snapshot.groups)
            return (f"{groups}+" if groups >= 8 else str(groups)) if groups else "", True
        if name == "queues":
            return str(len(stats.queues)), False
        if name == "workers":
            return str(len(stats.workers)), not stats.workers and stats.pending > 0
        return "", False


def state_text(glyphs: theme.Glyphs, state: str, outcome: str | None = None) -> Text:
    """A state or outcome as glyph, word and colour."""
    word = outcome or state
    glyph = glyphs.states.get(word, "?")
    return Text.assemble((f"{glyph} {word}", theme.style(theme.colour(word))))


def is_bad(outcome: str | None) -> bool:
    return outcome in (Outcome.ERRORED, Outcome.LOST)
