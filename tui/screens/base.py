"""The base of all screens: the frame, the keys that work now, and why the others do not."""

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen

from jobq.states import Outcome

from .. import theme
from ..actions import BY_NAME, VERBS, Action
from ..context import Context, context_of
from ..entries import Entry
from ..messages import Refused
from ..source import Report
from ..troubles import Place
from ..widgets.frame import Line, keys_line, spread
from .frame_text import live_text, tabs_text, target_text

REPLAY = ("step_back", "step_on", "minute_back", "minute_on", "speed")
COMMON = (*REPLAY, "freeze", "actions", "palette", "help", "quit")

TINY = (60, 18)
"""In a window with fewer columns or lines there is room only for a list."""


class ConsoleScreen(Screen[None]):
    """Draws the last snapshot, and waits for nothing."""

    AUTO_FOCUS = ""
    NAME: ClassVar[str] = ""  # of its tab
    WORDS: ClassVar[str | None] = None  # its name, if it is not the tab's
    MAIN: ClassVar[str] = ""  # the only list shown in a very small window
    ACTIONS: ClassVar[tuple[str, ...]] = ()
    VERBS: ClassVar[dict[str, str]] = VERBS
    FILTER_HELP: ClassVar[tuple[tuple[str, str], ...]] = ()  # help for its filter, if it has one: words
    is_tiny = False
    _leads_to: Place | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="head")
        yield Line(id="tabs")
        yield from self.body()
        yield Line(id="foot")

    def body(self) -> ComposeResult:
        raise NotImplementedError

    # Overridden by each screen

    def paint(self) -> None:
        """Draws everything again from the current state."""
        self.paint_frame()

    def looked(self) -> None:
        """A new snapshot has arrived: asks for what only this screen shows."""

    def acted(self, report: Report) -> None:
        """An act that started here, or elsewhere, is over."""

    def lead_to(self, place: Place) -> None:
        """Goes to a place on this screen, or does so after the screen has been opened for the first time."""
        if self.query("#foot"):
            self.show_place(place)
        else:
            self._leads_to = place

    def show_place(self, place: Place) -> None:
        """Goes to a list, a filter or a row of this screen."""

    def why_not(self, action: Action) -> str | None:
        """Why an action cannot be done now. None if it can."""
        if (why := self.why_barred(action)) is not None:
            return why
        if action.name == "undo" and (why := self.console.state.undo_off) is not None:
            return why
        return self.console.acting.why_not() if action.writes else None

    def why_barred(self, action: Action) -> str | None:
        """Why an action is impossible whatever is shown: the database's role, or this console's access."""
        if self.console.state.replay is not None:
            return None
        verb = self.VERBS.get(action.name)
        why = self.console.state.forbidden(verb) if verb is not None else None
        return why or (self.console.source.access.why_not() if action.writes else None)

    # Used by other parts

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
        names = [*self.ACTIONS, *(name for name in ("filter", *COMMON) if name not in self.ACTIONS)]
        return [name for name in names if BY_NAME[name].needs is None or BY_NAME[name].needs in abilities]

    def menu(self) -> list[Entry]:
        """All actions here, with what forbids each of them now."""
        key = self.console.shown_key
        return [
            Entry(key(action.name), action.words, action.help, self.why_not(action), self.runner(action.name))
            for action in (BY_NAME[name] for name in self.action_names)
            if action.name not in ("actions", "palette")
        ]

    def runner(self, name: str) -> Callable[[], Any]:
        owners = [one for one in (self, self.focused, self.app, *self.query("*")) if hasattr(one, f"action_{name}")]
        return getattr(owners[0], f"action_{name}")  # type: ignore[no-any-return]  # a method

    def allowed(self, name: str) -> bool:
        """Whether an action can be done now. If not, says why."""
        why = self.why_not(BY_NAME[name])
        if why is not None:
            self.console.tell(f"{BY_NAME[name].words}: {why}", is_bad=True)
        return why is None

    def on_refused(self, message: Refused) -> None:
        """A question failed. If the database is lost, the frame says so already."""
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
        """A very small window shows only the main list and one line of keys."""
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
        self.query_one("#tabs", Line).update(tabs_text(self.console.state, self.NAME, self.app.size.width))
        self.paint_foot()
        self.set_class(self.console.state.lost is not None, "-lost")

    def paint_head(self) -> None:
        self.query_one("#head", Line).put(
            target_text(self.console, is_wide=self.is_wide), live_text(self.console, is_wide=self.is_wide)
        )

    def paint_foot(self) -> None:
        shown = [
            action
            for action in (BY_NAME[name] for name in self.action_names)
            if self.why_not(action) is None and action.group != "move"
        ]
        shown = [action for action in shown if action.name in (*self.ACTIONS, *COMMON)]
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


def state_text(glyphs: theme.Glyphs, state: str, outcome: str | None = None) -> Text:
    """A state or outcome as glyph, word and colour."""
    word = outcome or state
    glyph = glyphs.states.get(word, "?")
    return Text.assemble((f"{glyph} {word}", theme.style(theme.colour(word))))


def is_bad(outcome: str | None) -> bool:
    return outcome in (Outcome.ERRORED, Outcome.LOST)
