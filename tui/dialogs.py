"""The console's own dialogs: before and after an act, and while there is nothing to show."""

from collections.abc import Callable
from typing import Any

from textual.app import App

from jobq.errors import SchemaAhead, SchemaBehind, SchemaForeign, SchemaMissing

from . import screens
from .plans import Plan
from .source import Report
from .state import State

SCHEMA_ERRORS = (SchemaMissing, SchemaBehind, SchemaAhead, SchemaForeign)


class ConsoleDialogs:
    def __init__(self, app: App[Any], state: State) -> None:
        self._app = app
        self._state = state

    def confirm(self, plan: Plan, then: Callable[[str], None]) -> None:
        dialog = screens.Confirm(plan)
        self._app.push_screen(dialog, after_yes(lambda: then(dialog.reason)))

    def show_outcome(self, report: Report, done: str) -> None:
        self._app.push_screen(screens.Outcome(report, done))

    def ask_to_write(self, then: Callable[[], None]) -> None:
        self._app.push_screen(screens.Write(), after_yes(then))

    def wait(self) -> None:
        """Says what the console waits for: the first look, or a schema that it can read."""
        lost = self._state.lost
        if lost is None or (self._state.snapshot is not None and not isinstance(lost.error, SCHEMA_ERRORS)):
            return
        waiting = next((screen for screen in self._app.screen_stack if isinstance(screen, screens.Waiting)), None)
        if waiting is None:
            self._app.push_screen(screens.Waiting(lost))
        else:
            waiting.put(lost)

    def end_wait(self) -> None:
        if isinstance(self._app.screen, screens.Waiting):
            self._app.pop_screen()


def after_yes(then: Callable[[], None]) -> Callable[[bool | None], None]:
    def run(is_sure: bool | None) -> None:
        if is_sure:
            then()

    return run
