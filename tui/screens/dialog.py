"""What the dialogs have in common: a box in the middle, its lines, escape to leave."""

from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from .. import theme
from ..context import Context, context_of

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[Any]] = [Binding("escape", "leave", show=False)]
    HEADING: ClassVar[str] = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="box"):
            yield from self.body()

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def on_mount(self) -> None:
        from textual.content import Content

        box = self.query_one("#box", Vertical)
        box.border_title = Content(f" {self.heading()} ")

    def heading(self) -> str:
        return self.HEADING

    def action_leave(self) -> None:
        self.dismiss(None)

    @property
    def console(self) -> Context:
        return context_of(self)

    @property
    def glyphs(self) -> theme.Glyphs:
        return self.console.glyphs
