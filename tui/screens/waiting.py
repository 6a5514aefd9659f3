"""Shown while there is nothing else: no database yet, or no tables of jobq in it."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from jobq.clean import plain
from jobq.errors import SchemaAhead, SchemaBehind, SchemaForeign, SchemaMissing

from .. import formats, theme
from ..state import Loss
from .dialog import Dialog


class Waiting(Dialog[None]):
    IS_SEEN_FIRST: ClassVar[bool] = True
    BINDINGS: ClassVar[list[Any]] = [
        Binding("m", "migrate", show=False),
        Binding("q", "quit", show=False),
        Binding("escape", "nothing", show=False),
    ]

    def __init__(self, lost: Loss) -> None:
        super().__init__()
        self.lost = lost

    @property
    def may_migrate(self) -> bool:
        is_behind = isinstance(self.lost.error, SchemaMissing | SchemaBehind)
        return is_behind and self.console.source.access.why_not() is None

    def heading(self) -> str:
        if isinstance(self.lost.error, SchemaAhead):
            return "This jobq is too old for the schema"
        if isinstance(self.lost.error, SchemaForeign):
            return "The schema is of another jobq"
        return "The schema is not ready" if isinstance(self.lost.error, SchemaMissing | SchemaBehind) else "Waiting"

    def body(self) -> ComposeResult:
        yield Static("", id="why", markup=False)

    def on_mount(self) -> None:
        self.paint()

    def put(self, lost: Loss) -> None:
        self.lost = lost
        self.paint()

    def paint(self) -> None:
        if not self.query("#why"):  # not composed yet
            return
        target = self.console.source.target
        text = Text()
        text.append(f"{target.name}, schema {target.schema}\n\n", theme.style(theme.TEXT, bold=True))
        text.append(f"{plain(str(self.lost.error), 600)}\n\n", theme.style(theme.TEXT))
        tries = formats.plural(self.lost.tries, "attempt")
        text.append(f"{self.glyphs.silent} looking again, by itself ({tries} so far)\n\n", theme.style(theme.WAIT))
        keys = [("m", "migrate now: safe from any number of places")] if self.may_migrate else []
        for key, words in [*keys, ("q", "quit")]:
            text.append(key, theme.style(theme.KEY, bold=True))
            text.append(f" {words}   ", theme.style(theme.DIM))
        self.query_one("#why", Static).update(text)

    def action_migrate(self) -> None:
        if self.may_migrate:
            self.console.acting.migrate()

    def action_quit(self) -> None:
        self.app.exit()

    def action_nothing(self) -> None:
        """There is no screen behind this one."""
