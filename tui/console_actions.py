"""The console's own actions: those that work on every screen."""

from typing import Any, ClassVar

from textual.binding import Binding

from . import formats, screens
from .access import WRITE_SECONDS
from .actions import BY_NAME
from .context import Context
from .dialogs import ConsoleDialogs
from .entries import Entry
from .navigation import ConsoleNavigation
from .playback import Playback
from .program import Program
from .screens.base import ConsoleScreen
from .tabs import TABS
from .write_access import WriteAccess

EVERYWHERE = (
    "filter", "look", "freeze", "help", "palette", "actions", "quit", "enqueue", "undo", "range_less", "range_more",
    "step_back", "step_on", "minute_back", "minute_on", "speed",
)  # fmt: skip
"""Actions that every screen has."""


class ConsoleActions(Program):
    """Each key goes to the part that handles it. A dialog keeps all keys to itself."""

    BINDINGS: ClassVar[list[Any]] = [
        *(Binding(str(number), f"tab({name!r})", show=False) for number, name in enumerate(TABS, 1)),
        *(Binding(BY_NAME[name].key, name, show=False, id=name) for name in EVERYWHERE),
        Binding("ctrl+p", "palette", show=False),
    ]
    context: Context
    dialogs: ConsoleDialogs
    navigation: ConsoleNavigation
    playback: Playback | None
    write_access: WriteAccess

    @property
    def shown_screen(self) -> ConsoleScreen | None:
        """The visible screen, if no dialog covers it."""
        return self.screen if isinstance(self.screen, ConsoleScreen) else None

    def paint(self) -> None:
        """Redraws all screens."""
        raise NotImplementedError

    # Navigation, and the command palette

    def action_tab(self, name: str) -> None:
        self.navigation.show_tab(name)

    def action_help(self) -> None:
        screen = self.shown_screen
        if screen is not None:
            barred = {name: screen.why_barred(BY_NAME[name]) for name in screen.action_names}
            off = {name: why for name, why in barred.items() if why is not None}
            where = screen.WORDS or TABS[screen.NAME].words
            self.push_screen(screens.Help(screen.action_names, where, off, screen.FILTER_HELP))

    def action_actions(self) -> None:
        if (screen := self.shown_screen) is not None:
            self.push_screen(screens.Palette(screen.menu(), "All actions here"))

    def action_palette(self) -> None:
        if (screen := self.shown_screen) is not None:
            entries = [*screen.menu(), *self._access_entries(), *self.navigation.entries()]
            self.push_screen(screens.Palette(entries, "Command, or the number of a job"))

    def _access_entries(self) -> list[Entry]:
        """On production: how changes are allowed, and how they are forbidden again."""
        source = self.context.source
        if self.context.state.replay is not None or not source.target.is_production:
            return []
        if self.write_access.is_open:
            return [Entry("", "read-only", "Change nothing any more.", None, self.write_access.close)]
        words = f"Allow changes for {formats.age(WRITE_SECONDS)}: asks for the target's name."
        off = None if source.access.is_limited else source.access.why_not()
        return [Entry("", "write", words, off, lambda: self.dialogs.ask_to_write(self.write_access.open))]

    def action_filter(self) -> None:
        if self.shown_screen is not None:
            self.navigation.search()

    # Acting

    def action_enqueue(self) -> None:
        if (why := self._why_not("enqueue")) is not None:
            self.context.tell(why, is_bad=True)
        elif self.shown_screen is not None:
            self.push_screen(screens.Enqueue())

    def action_undo(self) -> None:
        if self.shown_screen is not None and self.shown_screen.allowed("undo"):
            self.context.acting.undo()

    def _why_not(self, verb: str) -> str | None:
        return self.context.state.forbidden(verb) or self.context.acting.why_not()

    # Looking

    def action_look(self) -> None:
        """Looks once, whatever the interval is."""
        state = self.context.state
        if self.shown_screen is not None and not state.is_frozen and state.replay is None:
            self.context.feed.look()

    def action_freeze(self) -> None:
        if self.playback is not None:
            if self.shown_screen is not None:
                self.playback.toggle()
            return
        state, feed = self.context.state, self.context.feed
        feed.freeze_key = self.context.shown_key("freeze")
        state.is_frozen = feed.is_frozen = not state.is_frozen
        if not state.is_frozen:
            feed.look()
        self.paint()

    def action_range_less(self) -> None:
        self._change_period(-1)

    def action_range_more(self) -> None:
        self._change_period(1)

    def _change_period(self, step: int) -> None:
        """Another period for all figures."""
        screen = self.shown_screen
        if screen is None:
            return
        if self.playback is not None:
            self.context.tell("a recording has the figures of the period that was looked at", is_bad=True)
            return
        if self.context.state.is_frozen:
            self.context.tell("frozen: the figures stay those of the period that was looked at", is_bad=True)
            return
        self.context.period.change(step)
        self.paint_frames()
        screen.looked()

    def paint_frames(self) -> None:
        """Redraws the lines that every screen has."""
        raise NotImplementedError

    # Actions in a recording

    def action_step_back(self) -> None:
        if self.playback is not None and self.shown_screen is not None:
            self.playback.step(-1)

    def action_step_on(self) -> None:
        if self.playback is not None and self.shown_screen is not None:
            self.playback.step(1)

    def action_minute_back(self) -> None:
        if self.playback is not None and self.shown_screen is not None:
            self.playback.seek(-60.0)

    def action_minute_on(self) -> None:
        if self.playback is not None and self.shown_screen is not None:
            self.playback.seek(60.0)

    def action_speed(self) -> None:
        if self.playback is not None and self.shown_screen is not None:
            self.playback.faster()
