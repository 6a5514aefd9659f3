"""The result of an act that left some jobs alone: the numbers, and the reason for each of the others."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from .. import formats, theme
from ..source import Report
from .dialog import Dialog


class Outcome(Dialog[None]):
    IS_SEEN_FIRST: ClassVar[bool] = True
    BINDINGS: ClassVar[list[Any]] = [Binding("enter,q,space", "leave", show=False)]

    def __init__(self, report: Report, done: str) -> None:
        super().__init__()
        self.report = report
        self.done = done

    def heading(self) -> str:
        done = f"{self.done.capitalize()} {formats.plural(len(self.report.done), 'job')}"
        return f"{done}, left {formats.count(len(self.report.skipped))} alone"

    def body(self) -> ComposeResult:
        yield Static(self.text(), markup=False)

    def text(self) -> Text:
        text = Text()
        for why, ids in sorted(self.report.reasons.items(), key=lambda entry: -len(entry[1])):
            shown = formats.listed([f"#{job_id}" for job_id in sorted(ids)], 4)
            text.append(f"{formats.count(len(ids)):>7}  ", theme.style(theme.WAIT, bold=True))
            text.append(f"{why}\n", theme.style(theme.TEXT))
            text.append(f"         {shown}\n", theme.style(theme.DIM))
        text.append("\n enter", theme.style(theme.KEY, bold=True))
        text.append(" back", theme.style(theme.DIM))
        return text
