"""A preview of the job under the cursor, beneath the list: its arguments, and the end of its last attempt."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.records import AttemptRecord, JobDetail, JobRecord
from jobq.states import FINISHED, Outcome, State

from .. import formats, theme
from ..theme import Glyphs
from ..widgets.frame import Line
from ..widgets.lines import Lines
from .base import state_text
from .job_text import call_of, error_of, unknown_words
from .traceback_text import traceback_lines

LAST_LINES = 7
"""Minimum number of lines of a traceback: its end says what was wrong."""


class Peek(Vertical):
    def __init__(self) -> None:
        super().__init__(id="peek")
        self.detail: JobDetail | None = None  # the last one read, of this job or of an earlier one
        self._shown: int | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="peek-title", classes="heading")
        yield Lines(id="peek-lines")

    def detail_of(self, job: JobRecord | None) -> JobDetail | None:
        """Details of a job beyond its row. None if they have not been read yet."""
        return self.detail if job is not None and self.detail is not None and self.detail.job.id == job.id else None

    def put(self, job: JobRecord | None, glyphs: Glyphs) -> None:
        """Everything is of one moment: when the job was read, or its row until then."""
        detail = self.detail_of(job)
        if detail is not None:
            job = detail.job
        title, lines = self.query_one("#peek-title", Line), self.query_one("#peek-lines", Lines)
        if job is None:
            title.put(Text(""))
            lines.put([])
            return
        hint = Text(f"{glyphs.enter} full page ", theme.style(theme.DIM))
        state = state_text(glyphs, job.state, job.outcome)
        title.put(Text.assemble(f" #{job.id} {job.job_class}  ", state, "  ", call_of(job)), hint)
        room = max(LAST_LINES, lines.size.height - 2)
        lines.put(peek_lines(job, detail, room), keep_place=job.id == self._shown)
        self._shown = job.id


def peek_lines(job: JobRecord, detail: JobDetail | None, room: int) -> list[Text]:
    """The last `lines` lines of the last traceback, else another description."""
    facts = Text.assemble(
        ("args ", theme.style(theme.DIM)), formats.compact(job.arguments, 300),
        *((("  on ", theme.style(theme.DIM)), job.worker) if job.worker else ()),
        *((("  key ", theme.style(theme.DIM)), job.unique_key) if job.unique_key else ()),
        *((("  by ", theme.style(theme.DIM)), job.source) if job.source else ()),
    )  # fmt: skip
    last = last_of(job, detail)
    if last is not None and last.traceback:
        lines = traceback_lines(last.traceback, is_folded=True, key=None)[-room:]
        if job.state != FINISHED:  # it continues: this is of an earlier attempt
            lines = [Text(f"attempt {last.attempt} {last.outcome}:", theme.style(theme.DIM)), *lines]
        return [facts, *lines]
    if job.error_type and job.outcome != Outcome.SUCCESSFUL:
        return [facts, Text(error_of(job), theme.style(theme.BAD))]
    if detail is not None and detail.attempts and detail.attempts[-1].value is not None:
        value = formats.compact(detail.attempts[-1].value, 600)
        return [facts, Text.assemble(("returned ", theme.style(theme.DIM)), value)]
    if detail is not None and detail.attempts and (note := detail.attempts[-1].value_note) is not None:
        return [facts, Text(note, theme.style(theme.WAIT))]
    if detail is not None and job.state == State.PENDING and not detail.known:
        return [facts, Text(unknown_words(job), theme.style(theme.WAIT))]
    return [facts]


def last_of(job: JobRecord, detail: JobDetail | None) -> AttemptRecord | None:
    """The attempt whose traceback is shown: the one that ended the job, else the last that failed."""
    attempts = detail.attempts if detail is not None else ()
    if job.state == FINISHED:
        return attempts[-1] if attempts else None
    return next((attempt for attempt in reversed(attempts) if attempt.traceback), None)
