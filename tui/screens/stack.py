"""What a running job is doing now."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding

from jobq.operate import Stack

from ..widgets.lines import Lines
from .dialog import Dialog
from .traceback_text import traceback_lines


class LiveStack(Dialog[None]):
    IS_SEEN_FIRST: ClassVar[bool] = True
    BINDINGS: ClassVar[list[Any]] = [
        Binding("l,q,enter", "leave", show=False),
        Binding("o", "fold", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self.is_folded = True

    def heading(self) -> str:
        where = f" on {self.stack.worker}" if self.stack.worker else ""
        return f"#{self.stack.job_id}, attempt {self.stack.attempt}{where}"

    def body(self) -> ComposeResult:
        yield Lines(id="stack")

    def on_mount(self) -> None:
        self._paint()
        self.query_one(Lines).focus()

    def _paint(self) -> None:
        lines = self.query_one(Lines)
        texts = traceback_lines(self.stack.text, is_folded=self.is_folded)
        lines.styles.height = min(max(3, len(texts)), max(5, self.app.size.height - 8))
        lines.put(texts)

    def action_fold(self) -> None:
        self.is_folded = not self.is_folded
        self._paint()

    def action_copy(self) -> None:
        self.console.notices.copy("the stack", self.stack.text)
