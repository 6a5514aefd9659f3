"""Copies parts of a job to the terminal's clipboard, also over ssh."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding

from jobq import commands
from jobq.records import AttemptRecord, JobDetail, JobRecord
from jobq.states import FINISHED

from ..widgets.rows import Column, Rows
from .dialog import Dialog


@dataclass(frozen=True, slots=True)
class Choice:
    key: str
    words: str
    text: str


def choices(
    job: JobRecord, detail: JobDetail | None, attempt: AttemptRecord | None, command: str | None
) -> list[Choice]:
    """The parts of a job, and of the shown attempt, that can be copied."""
    found = [
        Choice("i", "the id", str(job.id)),
        Choice("a", "the arguments", json.dumps(job.arguments, ensure_ascii=False)),
        Choice("c", "the class", job.job_class),
    ]
    if job.unique_key:
        found.append(Choice("k", "the unique key", job.unique_key))
    shown = detail.job if detail is not None else job
    if shown.trace_id is not None:
        found.append(Choice("r", "the trace id", shown.trace_id))
    if attempt is not None and attempt.traceback:
        found.append(Choice("t", f"the traceback of attempt {attempt.attempt}", attempt.traceback))
    found.append(Choice("s", "the command that shows it", commands.command("show", job.id)))
    verb = "retry" if job.state == FINISHED else "cancel"
    found.append(Choice("v", "the command that does it again" if verb == "retry" else "the command that cancels it",
                        commands.command(verb, job.id)))  # fmt: skip
    found.append(
        Choice(
            "e",
            "the command that enqueues one like it",
            commands.command("enqueue", job.job_class, "--kwargs", json.dumps(job.arguments, ensure_ascii=False)),
        )
    )
    if command is not None:
        found.append(Choice("l", "the command for this list", command))
    return found


class Copy(Dialog[None]):
    HEADING = "Copy"
    BINDINGS: ClassVar[list[Any]] = [
        Binding("y", "again", show=False),
    ]

    def __init__(self, choices: list[Choice]) -> None:
        super().__init__()
        self.choices = choices

    def body(self) -> ComposeResult:
        columns = [
            Column("", lambda choice: choice.key, most=2),
            Column("", lambda choice: choice.words, most=40),
            Column("", lambda choice: choice.text.replace("\n", " "), is_rest=True),
        ]
        yield Rows(columns, key=lambda choice: choice.key, has_titles=False, id="choices")

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.styles.height = len(self.choices)
        rows.put(self.choices)
        rows.focus()

    def on_key(self, event: Any) -> None:
        for choice in self.choices:
            if event.key == choice.key:
                event.stop()
                self._copy(choice)

    def action_again(self) -> None:
        """The key that opened this dialog copies what is shown. If that is not a choice, it closes the dialog."""
        shown = next((choice for choice in self.choices if choice.key == "y"), None)
        if shown is None:
            self.dismiss(None)
        else:
            self._copy(shown)

    def on_rows_opened(self, message: Rows.Opened) -> None:
        if isinstance(message.rows.current, Choice):
            self._copy(message.rows.current)

    def _copy(self, choice: Choice) -> None:
        self.dismiss(None)
        self.console.notices.copy(choice.words, choice.text)
