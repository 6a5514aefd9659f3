"""What the screens and dialogs may use of the console. They know nothing else of it, and it is not the app."""

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
    """The ways from one screen to another."""

    def go(self, place: Place) -> None:
        """To a screen, and the list, the filter or the row on it."""

    def search(self) -> None:
        """To the line in which a filter on jobs is typed."""

    def open_job(self, job_id: int, ids: Iterable[int] = ()) -> None:
        """To the page of a job; `ids` are its neighbours in the list that it was opened from."""


@dataclass(frozen=True, slots=True)
class Context:
    source: Source
    feed: Feed  # asks the source, and answers the screen
    state: State  # what is known
    period: FiguresPeriod  # of which the figures are
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
    """The context that the console gives to a screen, a dialog or a widget of its own."""
    app: Any = node.app
    context: Context = app.context
    return context
