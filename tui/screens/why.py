"""Why a job has not run yet: every reason, with its remedy."""

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
    IS_SEEN_FIRST: ClassVar[bool] = True
    BINDINGS: ClassVar[list[Any]] = [Binding("w,q,enter,space", "leave", show=False)]

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def heading(self) -> str:
        return f"Why #{self.answer.job.id} is where it is"

    def body(self) -> ComposeResult:
        yield Static("", id="why", markup=False)

    def on_mount(self) -> None:
        job = self.answer.job
        head = Text.assemble(f"{job.job_class}  ", state_text(self.glyphs, job.state, job.outcome))
        lines = [head, Text(""), *reasons(self.answer, self.glyphs)]
        self.query_one("#why", Static).update(Text("\n").join(lines))


def reasons(answer: Answer, glyphs: theme.Glyphs) -> list[Text]:
    """Every reason with its remedy, and the jobs before this one. Reasons are separated."""
    lines: list[Text] = []
    for reason in answer.reasons:
        lines.append(Text.assemble((f"{glyphs.trouble} ", theme.style(theme.WAIT)), reason.text))
        if reason.remedy:
            lines.append(Text(f"  {reason.remedy}", theme.style(theme.TEAL)))
        lines.append(Text(""))
    if answer.ahead is None:
        return lines[:-1]
    more = " or more" if answer.is_more_ahead else ""
    words = f"{formats.plural(answer.ahead, 'job')}{more} before it"
    if answer.estimated_seconds is not None:
        about = "more than" if answer.is_more_ahead else "about"
        words += f", {about} {formats.duration(answer.estimated_seconds)} at the pace of its queue"
    return [*lines, Text(words, theme.style(theme.DIM))]
