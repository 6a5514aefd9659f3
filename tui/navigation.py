"""Moves between screens, and places as the command line writes them."""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from textual.app import App

from . import screens
from .entries import Entry
from .keymap import Keymap
from .preferences import Preferences
from .screens.base import ConsoleScreen
from .source import VIEW_BY_NAME, views_of
from .tabs import TABS
from .troubles import Place


class ConsoleNavigation:
    def __init__(self, app: App[Any], keymap: Keymap, preferences: Preferences) -> None:
        self._app = app
        self._keymap = keymap
        self._preferences = preferences

    def go(self, place: Place) -> None:
        self._app.switch_mode(place.screen)
        screen = self._app.screen
        if isinstance(screen, ConsoleScreen):
            screen.lead_to(place)

    def search(self) -> None:
        """Goes to the line in which a filter on jobs is typed, from any screen."""
        self._app.switch_mode("jobs")
        while len(self._app.screen_stack) > 1:  # the page of a job, opened from its list
            self._app.pop_screen()
        self.go(Place("jobs", is_typing=True))

    def open_job(self, job_id: int, ids: Iterable[int] = (), section: str = "") -> None:
        self._app.push_screen(screens.JobPage(job_id, tuple(ids), section))

    def show_tab(self, name: str) -> None:
        if isinstance(self._app.screen, ConsoleScreen):
            self._app.switch_mode(name)

    def entries(self) -> list[Entry]:
        """The places that can be reached from everywhere."""
        tabs = [
            Entry(str(number), tab.words, tab.question, None, partial(self.show_tab, name))
            for number, (name, tab) in enumerate(TABS.items(), 1)
        ]
        lists = [
            Entry("", f"{view.name} jobs", "their list", None, partial(self.go, Place("jobs", view.name)))
            for view in views_of(None)
        ]
        views = [
            Entry(self._keymap.shown("views"), f"view {saved.name}", f"{saved.view} {saved.filter}", None,
                  partial(self.go, Place("jobs", saved.view, saved.filter)))
            for saved in self._preferences.views
        ]  # fmt: skip
        return [*views, *tabs, *lists]


def place_of(text: str) -> Place:
    """A place as it is written on the command line: `jobs`, `jobs/errored`, `jobs/errored/queue:mail since:1h`."""
    screen, _, rest = text.partition("/")
    first, _, chosen = rest.partition("/")
    if first in VIEW_BY_NAME:
        return Place(screen, first, chosen)
    return Place(screen, "", re.sub(r"^/", "", rest))
