"""Asks whether to quit, after Ctrl-C on any screen."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from .. import theme


class Leave(ModalScreen[None]):
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "stay", show=False),
        Binding("q", "app.quit", show=False),
    ]

    def compose(self) -> ComposeResult:
        box = Vertical(Static(self.text(), markup=False), classes="dialog", id="box")
        box.border_title = " Quit "
        yield box

    def text(self) -> Text:
        return Text.assemble(
            ("Running jobs go on without this console.\n\n", theme.style(theme.TEXT)),
            ("ctrl+c", theme.style(theme.KEY, bold=True)),
            (" or ", theme.style(theme.DIM)),
            ("q", theme.style(theme.KEY, bold=True)),
            (" quits   ", theme.style(theme.DIM)),
            ("esc", theme.style(theme.KEY, bold=True)),
            (" stays", theme.style(theme.DIM)),
        )

    def action_stay(self) -> None:
        self.dismiss(None)
