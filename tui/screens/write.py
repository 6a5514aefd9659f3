"""Allows changes on production for a while, to a person who types its name."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from .. import formats, theme
from ..access import WRITE_SECONDS
from .dialog import Dialog


class Write(Dialog[bool]):
    IS_SEEN_FIRST: ClassVar[bool] = True
    HEADING: ClassVar[str] = "Allow changes on PROD"

    def body(self) -> ComposeResult:
        yield Static("", id="plan", markup=False)
        with Horizontal(id="typed"):
            yield Static(self._prompt(), id="prompt", markup=False)
            field = Input(id="name", select_on_focus=False)
            field.cursor_blink = False
            yield field

    def on_mount(self) -> None:
        self.query_one("#box").set_class(True, "-bad")
        self.query_one("#plan", Static).update(self.text())
        self.query_one("#name").focus()

    def text(self) -> Text:
        target = self.console.source.target
        lines = [
            ("target", target.name),
            ("schema", target.schema),
            ("effect", f"acts work for {formats.age(WRITE_SECONDS)}, or until :read-only"),
        ]
        drawn = Text()
        for name, words in lines:
            drawn.append(f"{name:<9}", theme.style(theme.DIM))
            drawn.append(f"{words}\n", theme.style(theme.TEXT))
        drawn.right_crop()
        return drawn

    def _prompt(self) -> Text:
        return Text("The target's name, esc to leave: ")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() == self.console.source.target.name:
            self.dismiss(True)
            return
        self.query_one("#prompt", Static).update(
            Text.assemble(("That is not it. ", theme.style(theme.BAD)), self._prompt())
        )
        self.query_one("#name", Input).value = ""
