"""The choice of a list's columns, with a mark at those that are shown."""

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from .. import theme
from ..widgets.rows import Column, Rows
from .dialog import Dialog


class Columns(Dialog[None]):
    """`changed` gets the titles of the hidden columns at once, so that the list beneath shows the change."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("space", "switch", show=False),
        Binding("v,q", "leave", show=False),
    ]

    def __init__(
        self, where: str, columns: list[Column], hidden: tuple[str, ...], changed: Callable[[tuple[str, ...]], None]
    ) -> None:
        super().__init__()
        self.where = where
        self.columns = columns
        self.hidden = hidden
        self.changed = changed

    def heading(self) -> str:
        return f"Columns of {self.where} jobs"

    def body(self) -> ComposeResult:
        shown = [
            Column("", self.mark, most=3),
            Column("", lambda column: column.title, most=24),
            Column("", self.note, is_rest=True),
        ]
        yield Rows(shown, key=lambda column: column.title, has_titles=False, id="columns")
        yield Static("", id="columns-keys", markup=False)

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.styles.height = len(self.columns)
        rows.put(self.columns)
        rows.focus()
        keys = Text()
        for key, words in (("space", "show or leave out"), ("esc", "back")):
            keys.append(f"\n{key}" if not keys else key, theme.style(theme.KEY, bold=True))
            keys.append(f" {words}  ", theme.style(theme.DIM))
        self.query_one("#columns-keys", Static).update(keys)

    def mark(self, column: Column) -> Text:
        if column.title in self.hidden:
            return Text("")
        return Text(self.glyphs.tick, theme.style(theme.GOOD, bold=True))

    def note(self, column: Column) -> Text:
        if column.is_fixed:
            return Text("always shown", theme.style(theme.DIM))
        if self.app.size.width < column.least:
            return Text(f"from {column.least} columns of the terminal on", theme.style(theme.DIM))
        return Text("")

    def action_switch(self) -> None:
        column = self.query_one(Rows).current
        if not isinstance(column, Column) or column.is_fixed:
            return
        self.hidden = tuple({*self.hidden} ^ {column.title})
        self.changed(self.hidden)
        self.query_one(Rows).put(self.columns)

    def on_rows_opened(self, message: Rows.Opened) -> None:
        message.stop()
        self.action_switch()
