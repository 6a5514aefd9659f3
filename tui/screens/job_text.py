"""A job and its attempts in words, for the list and the job's own page."""

from rich.text import Text

from jobq.records import AttemptRecord, JobRecord

from .. import formats, theme


def error_of(record: JobRecord | AttemptRecord) -> str:
    """The error in one line."""
    message = (record.error_message or "").replace("\n", "⏎")
    return f"{record.error_type}: {message}" if message else record.error_type or ""


def unknown_words(job: JobRecord) -> str:
    """For a pending job whose class no live worker knows."""
    return f"no live worker knows {job.job_class}: the job cannot run until one does"


def call_of(job: JobRecord) -> Text:
    tries = f"attempt {job.attempt} of {max(job.retries + 1, job.attempt)}" if job.attempt else "not begun"
    return Text(tries, theme.style(theme.DIM))


def used(attempt: AttemptRecord) -> str:
    """The CPU time and memory that an attempt used."""
    cpu = f"  cpu {formats.duration(attempt.cpu_seconds)}" if attempt.cpu_seconds is not None else ""
    memory = attempt.peak_memory_bytes
    return cpu + (f"  peak {formats.size(memory)}" if memory is not None else "")


def progress_text(job: JobRecord, glyphs: theme.Glyphs) -> Text:
    """The progress of a running job: a bar and a share, or a count, and its own message."""
    progress = job.progress
    if progress is None:
        return Text("")
    if not progress.total:
        return Text.assemble(f"{formats.count(progress.done)} ", (progress.message or "", theme.style(theme.DIM)))
    share = min(1.0, max(0.0, progress.done / progress.total))
    full = round(share * 8)
    bar = glyphs.blocks[8] * full
    return Text.assemble(
        f"{100 * share:3.0f}% ", (bar, theme.style(theme.BUSY)), ("·" * (8 - full), theme.style(theme.FAINT)),
        (f" {progress.message or ''}", theme.style(theme.DIM)),
    )  # fmt: skip
