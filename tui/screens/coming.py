"""What the schedules will enqueue in the next hours, in order of time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding

from jobq.observe import Preview

from .. import formats, theme
from ..widgets.rows import Column, Rows
from .dialog import Dialog


class Coming(Dialog[None]):
    IS_SEEN_FIRST: ClassVar[bool] = True
    HEADING = "The next 24 hours"
    BINDINGS: ClassVar[list[Any]] = [Binding("w,q", "leave", show=False)]

    def __init__(self, ticks: Sequence[Preview], now: datetime) -> None:
        super().__init__()
        self.ticks = list(enumerate(ticks))
        self.now = now

    def body(self) -> ComposeResult:
        columns = [
            Column("UTC", lambda entry: formats.stamp(entry[1].tick_at, self.now), most=20),
            Column("IN", lambda entry: formats.due(entry[1].tick_at, self.now), right=True),
            Column("SCHEDULE", self.name_of, most=36),
            Column("CLASS", is_rest=True, fill=self.class_of),
        ]
        yield Rows(columns, key=lambda entry: entry[0], empty="nothing is due", id="coming")

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.styles.height = min(max(2, len(self.ticks) + 1), max(5, self.app.size.height - 8))
        rows.put(self.ticks)
        rows.focus()

    def class_of(self, entry: tuple[int, Preview], width: int) -> str:
        return formats.class_in(entry[1].job_class, width)

    def name_of(self, entry: tuple[int, Preview]) -> Text:
        tick = entry[1]
        if tick.is_paused:
            return Text(f"{tick.schedule} {self.glyphs.paused} paused", theme.style(theme.WAIT))
        return Text(tick.schedule)
