"""Why a job has not run yet: every reason, with what helps."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from jobq.observe import Why as Answer

from .. import formats, theme
from .base import state_text
from .dialog import Dialog


class Why(Dialog[None]):
    BINDINGS: ClassVar[list[Any]] = [Binding("w,q,enter,space", "leave", show=False)]

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def heading(self) -> str:
        return f"Why #{self.answer.job.id} is where it is"

    def body(self) -> ComposeResult:
        yield Static("", id="why", markup=False)

    def on_mount(self) -> None:
        self.query_one("#why", Static).update(self.text())

    def text(self) -> Text:
        answer, job = self.answer, self.answer.job
        text = Text.assemble(f"{job.job_class}  ", state_text(self.glyphs, job.state, job.outcome), "\n")
        for reason in answer.reasons:
            text.append(f"\n{self.glyphs.trouble} ", theme.style(theme.WAIT))
            text.append(f"{reason.text}\n", theme.style(theme.TEXT))
            if reason.mend:
                text.append(f"  {reason.mend}\n", theme.style(theme.TEAL))
        if answer.ahead is not None:
            more = " or more" if answer.is_more_ahead else ""
            text.append(f"\n{formats.plural(answer.ahead, 'job')}{more} before it", theme.style(theme.DIM))
            if answer.estimated_seconds is not None:
                about = "more than" if answer.is_more_ahead else "about"
                pace = f", {about} {formats.duration(answer.estimated_seconds)} at the pace of its queue"
                text.append(pace, theme.style(theme.DIM))
        text.rstrip()
        return text
