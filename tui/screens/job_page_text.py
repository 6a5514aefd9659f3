"""The page of a job in words: its title, its sections, and the result of an attempt."""

from collections.abc import Sequence

from rich.text import Text

from jobq.observe import Usage
from jobq.records import AttemptRecord, JobDetail, JobRecord

from .. import formats, theme
from ..theme import Glyphs
from .base import state_text
from .traceback_text import traceback_lines

SECTIONS = ("Attempts", "Why", "Arguments", "History", "Log")


def title_text(job: JobRecord, glyphs: Glyphs, usage: Usage | None = None) -> Text:
    tries = f"attempt {job.attempt} of {max(job.retries + 1, job.attempt)}"
    return Text.assemble(
        (f" #{job.id} ", theme.style(theme.KEY, bold=True)),
        (f"{job.job_class}  ", theme.style(theme.TEXT, bold=True)),
        state_text(glyphs, job.state, job.outcome),
        (f"  {tries}" if job.attempt else "  not begun", theme.style(theme.DIM)),
        (usage_words(usage), theme.style(theme.BUSY)),
    )


def usage_words(usage: Usage | None) -> str:
    """What the process of a running job uses, as its worker told it last."""
    if usage is None:
        return ""
    memory = "" if usage.memory_bytes is None else f"  {usage.memory_bytes / 1e6:,.0f} MB"
    return memory + ("" if usage.cpus is None else f"  {usage.cpus:.2f} CPU")


def place_text(job_id: int, ids: Sequence[int]) -> Text:
    """The job's place among its neighbours in the list."""
    if job_id not in ids or len(ids) < 2:
        return Text("")
    place = f"{ids.index(job_id) + 1} of {formats.count(len(ids))} "
    return Text.assemble(
        ("[ ", theme.style(theme.KEY)), (place, theme.style(theme.DIM)), ("] ", theme.style(theme.KEY))
    )


def sections_text(shown: int, place: int, attempts: int) -> Text:
    """The sections. The first one says which attempt it shows: number `place` of `attempts`."""
    text = Text(" ", no_wrap=True)
    for number, section in enumerate(SECTIONS):
        words = section
        if section == "Attempts":
            words = f"Attempt {place + 1} of {attempts}" if attempts else "No attempt yet"
        is_shown = number == shown
        part = Text(f" {words} ", theme.style(theme.KEY if is_shown else theme.DIM, bold=is_shown))
        if is_shown:
            part.stylize(f"on {theme.PANEL}")
        text.append_text(part)
        text.append(" ")
    if shown == 0 and attempts > 1:
        hint = ("  left right ", theme.style(theme.KEY)), ("other attempts", theme.style(theme.DIM))
        text.append_text(Text.assemble(*hint))
    return text


def evidence(attempt: AttemptRecord, detail: JobDetail, *, is_folded: bool) -> list[Text]:
    """The result of one attempt: its traceback, or its return value."""
    lines = []
    same = [other.attempt for other in detail.attempts if is_same(other, attempt) and other is not attempt]
    if same:
        lines.append(Text(f"as in attempt {formats.listed(map(str, same), 6)}", theme.style(theme.DIM)))
    if attempt.traceback:
        lines += traceback_lines(attempt.traceback, is_folded=is_folded)
    elif attempt.error_message:
        lines += [Text(line, theme.style(theme.BAD)) for line in attempt.error_message.splitlines()]
    if attempt.value is not None:
        lines.append(Text("returned", theme.style(theme.DIM)))
        lines += [Text(line) for line in formats.pretty(attempt.value).splitlines()]
    if attempt.value_note is not None:
        lines.append(Text(attempt.value_note, theme.style(theme.WAIT)))
    return lines or [Text("it has neither a traceback nor a value", theme.style(theme.DIM))]


def is_same(one: AttemptRecord, other: AttemptRecord) -> bool:
    """Whether two attempts failed in the same way."""
    return one.error_type is not None and (one.error_type, one.error_message) == (other.error_type, other.error_message)
