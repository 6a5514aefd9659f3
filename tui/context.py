"""The part of the console that screens and dialogs may use. They know nothing else of it: it is not the app."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from textual.dom import DOMNode

from .acting import Acting
from .feed import Feed
from .keymap import Keymap
from .notices import Notices
from .periods import FiguresPeriod
from .preferences import Preferences
from .source import Source
from .state import State
from .theme import Glyphs
from .troubles import Place


class Navigation(Protocol):
    """Moves from one screen to another."""

    def go(self, place: Place) -> None:
        """Goes to a screen, and to the list, filter or row on it."""

    def search(self) -> None:
        """Goes to the line in which a filter on jobs is typed."""

    def open_job(self, job_id: int, ids: Iterable[int] = (), section: str = "") -> None:
        """Goes to the page of a job. `ids` are its neighbours in the list it was opened from; `section` is shown."""


@dataclass(frozen=True, slots=True)
class Context:
    source: Source
    feed: Feed  # sends questions to the source, and their answers to the screen
    state: State  # the last known state
    period: FiguresPeriod  # the period of the figures
    acting: Acting  # changes something
    navigation: Navigation
    keymap: Keymap
    preferences: Preferences
    notices: Notices
    glyphs: Glyphs

    def tell(self, text: str, *, is_bad: bool = False) -> None:
        self.notices.tell(text, is_bad=is_bad)

    def shown_key(self, name: str) -> str:
        return self.keymap.shown(name)


def context_of(node: DOMNode) -> Context:
    """The context that the console gives to its screens, dialogs and widgets."""
    app: Any = node.app
    context: Context = app.context
    return context
