"""The console: connects its parts, and passes the feed's messages to them."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.filter import LineFilter
from textual.screen import Screen

from . import screens, theme
from .acting import Acting
from .console_actions import EVERYWHERE, ConsoleActions
from .context import Context
from .dialogs import ConsoleDialogs
from .drawing import cells_only, seen_behind
from .feed import Feed
from .keymap import Keymap
from .messages import Acted, Answered, Broke, Looked, Lost, Progressed, Refused
from .navigation import ConsoleNavigation
from .notices import Notices
from .periods import FiguresPeriod
from .plain import Plain
from .playback import Playback
from .preferences import Preferences
from .replay import Replay
from .screens.base import ConsoleScreen
from .source import Source
from .state import State
from .stylesheet import ReadOnce
from .tabs import TABS
from .troubles import Place
from .write_access import WriteAccess

DEFAULT_EVERY = 1.0

PLAIN = Plain()


def tab_screen(name: str) -> Screen[Any]:
    screen: Screen[Any] = getattr(screens, name)()
    return screen


class Console(ConsoleActions):
    TITLE = "jobq"
    MODES: ClassVar[dict[str, Any]] = {name: partial(tab_screen, tab.screen) for name, tab in TABS.items()}
    DEFAULT_MODE = "overview"
    CSS_PATH: ClassVar[list[Any]] = sorted(
        Path(__file__).parent.rglob("*.tcss"), key=lambda path: path.name != "tokens.tcss"
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-broad")]  # noqa: RUF012 - Textual declares them so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (31, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False

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
        replay = source if isinstance(source, Replay) else None
        self.source = source
        self.glyphs = theme.ASCII if is_ascii else theme.UNICODE if has_braille else theme.BLOCKS
        self.is_ascii = is_ascii
        self.place = place  # the first place to show
        self.preferences = preferences or Preferences()
        self.feed = Feed(source, self, every=every, may_slow=replay is None)
        self.state = State(clock, replay)
        self.keymap = Keymap(self.preferences.keys, actions_together, is_ascii=is_ascii)
        self.notices = Notices(self, are_staying=every is None)
        self.dialogs = ConsoleDialogs(self, self.state)
        self.navigation = ConsoleNavigation(self, self.keymap, self.preferences)
        self.playback = Playback(replay, self.feed, self.paint_frames) if replay is not None else None
        self.write_access = WriteAccess(source.access, self.notices, self.paint)
        self.context = self._built_context()
        self.register_theme(theme.THEME)
        self.theme = "jobq"
        self.stylesheet = ReadOnce(variables=self.get_css_variables())

    def _built_context(self) -> Context:
        acting = Acting(
            self.feed, self.state, self.keymap, self.dialogs, self.notices, listener=self, changed=self.paint_frames
        )
        return Context(
            source=self.source,
            feed=self.feed,
            state=self.state,
            period=FiguresPeriod(self.feed),
            acting=acting,
            navigation=self.navigation,
            keymap=self.keymap,
            preferences=self.preferences,
            notices=self.notices,
            glyphs=self.glyphs,
        )

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([PLAIN] if self.is_ascii else [])]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        return ()

    # Beginning, ending

    def on_mount(self) -> None:
        if self.is_ascii:
            self.add_class("-ascii")
        self.set_keymap(self.keymap.changes)
        problems = [*self.preferences.problems, *(f"[keys] {problem}" for problem in self.keymap.problems)]
        if problems:
            self.notices.tell("\n".join(problems), is_bad=True)
        self.feed.start()
        if self.feed.every is not None:
            self.set_interval(1.0, self._tick)

    async def action_quit(self) -> None:
        self.exit()

    def on_unmount(self) -> None:
        self.feed.stop()

    def on_app_blur(self) -> None:
        self.feed.is_away = True

    def on_app_focus(self) -> None:
        self.feed.is_away = False
        self.feed.look()

    def _tick(self) -> None:
        """Draws the clock at each look, and also while the next look is late or not due."""
        self.write_access.close_when_over()
        pace = self.feed.pace
        is_late = pace is None or self.state.age > pace
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen) and is_late:
                screen.paint_head()
            elif isinstance(screen, screens.Waiting):
                screen.paint()

    # Messages of the feed

    def on_looked(self, message: Looked) -> None:
        if self.state.is_frozen or not self.screen_stack:  # a message of the feed may arrive while the console closes
            return
        if self.playback is not None:
            self.context.period.follow(message.snapshot)
        self.state.looked(message.snapshot, self.context.period.words)
        self.dialogs.end_wait()
        if self.place is not None:
            place, self.place = self.place, None
            self.navigation.go(place)
        self.paint()
        for screen in self._console_screens():
            screen.looked()

    def on_lost(self, message: Lost) -> None:
        self.state.lose(message.error, message.tries)
        self.dialogs.wait()
        self.paint()

    def on_broke(self, message: Broke) -> None:
        raise message.error

    def on_progressed(self, message: Progressed) -> None:
        self.context.acting.progressed(message)
        self.paint_frames()

    def on_answered(self, message: Answered) -> None:
        self.context.acting.answered(message)
        self.paint_frames()

    def on_refused(self, message: Refused) -> None:
        self.context.acting.refused(message)
        self.paint_frames()

    def on_acted(self, message: Acted) -> None:
        self.context.acting.acted(message)
        screens_below = self._console_screens()
        if screens_below:
            screens_below[-1].acted(message.report)
        self.paint_frames()

    # Painting

    def _console_screens(self) -> list[ConsoleScreen]:
        """The visible screens of this tab, the top one last. A covered one is painted when it becomes visible again."""
        seen = (*self._background_screens, self.screen)
        return [screen for screen in seen if isinstance(screen, ConsoleScreen) and screen.is_mounted]

    def paint(self) -> None:
        for screen in self._console_screens():
            screen.paint()

    def paint_frames(self) -> None:
        for screen in self._console_screens():
            screen.paint_frame()

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        return seen_behind(self._screen_stack)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        super()._display(screen, cells_only(renderable))

    def _fatal_error(self) -> None:
        """As Textual's, without the values of local variables: one of them is an address with a password."""
        import rich.traceback
        from rich.segment import Segments

        self.bell()
        traceback = rich.traceback.Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()


def actions_together() -> list[list[str]]:
    """For each screen, the actions whose keys work there."""
    names = [*(tab.screen for tab in TABS.values()), "JobPage"]
    return [[*getattr(screens, name).ACTIONS, *EVERYWHERE] for name in names]
