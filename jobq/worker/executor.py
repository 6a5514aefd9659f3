"""Runs one job in this process and says how it ended: the only place that names the outcome of a run."""

import inspect
import os
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any

from jobq import arguments
from jobq.errors import ArgumentsError
from jobq.fingerprints import fingerprint, own_frame
from jobq.job import Job
from jobq.records import Assignment, Report
from jobq.registry import Registry
from jobq.retries import exponential
from jobq.states import Outcome, may_retry

MAX_MESSAGE_CHARACTERS = 10_000
MAX_TRACEBACK_CHARACTERS = 100_000
MAX_VALUE_BYTES = 256 * 1024

OWN_FOLDERS = tuple(str(Path(__file__).parents[1] / folder) + os.sep for folder in ("worker", "cli"))
"""Where the code lies that calls the user's."""


def execute(
    assignment: Assignment, registry: Registry, *, on_error: Callable[[BaseException], None] | None = None
) -> Report:
    """Looks up the class, makes the job again from its arguments, runs it, and names the outcome.

    Whatever the user's code raises, SystemExit and KeyboardInterrupt included, ends in a report. Who calls from a
    test or a shell may want the exception itself: `on_error` gets it, and may raise.
    """
    job: Job | None = None
    process = os.getpid()
    started = monotonic()
    try:
        job = build(assignment, registry)
        value = run(job)
    except BaseException as error:  # noqa: BLE001 - the edge around the user's code
        leave_if_forked(process)
        if on_error is not None:
            on_error(error)
        return failed(assignment, job, error, started)
    leave_if_forked(process)
    return succeeded(assignment, value, started)


def build(assignment: Assignment, registry: Registry) -> Job:
    job_class = registry.get(assignment.job_class)
    job = arguments.rebuild(job_class, arguments.decode(assignment.arguments))
    assert isinstance(job, Job)
    return job


def run(job: Job) -> Any:
    value = job.run()
    if inspect.iscoroutine(value):
        import asyncio

        return asyncio.run(value)
    return value


def leave_if_forked(process: int) -> None:
    """A job that forked and came back here twice must report once: the copy ends without a word."""
    if os.getpid() != process:
        os._exit(0)


def succeeded(assignment: Assignment, value: Any, started: float) -> Report:
    ended = monotonic()
    return Report(
        assignment.id,
        assignment.attempt,
        "successful",  # Outcome.SUCCESSFUL as its text: this line is passed tens of thousands of times a second
        started,
        ended,
        None if value is None else as_json(value),
    )


def failed(assignment: Assignment, job: Job | None, error: BaseException, started: float) -> Report:
    ended = monotonic()
    described = traceback_of(error)
    retry_delay = None
    if may_retry(tries=assignment.tries, retries=assignment.retries):
        retry_delay, trouble = delay_of(job, assignment.tries)
        described += trouble
    error_type, message, frame = type_of(error), message_of(error), own_frame(error)
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.ERRORED.value,
        started=started,
        ended=ended,
        error_type=error_type,
        error_message=message,
        traceback=described,
        retry_delay=retry_delay,
        fingerprint=fingerprint(assignment.job_class, error_type, frame, message),
        frame=None if frame is None else storable(frame, 500),
    )


def delay_of(job: Job | None, tries: int) -> tuple[float, str]:
    """The seconds that the job itself wants before the next attempt, and what went wrong in asking it.

    A job that could not be made again, or whose answer is none, waits a usual time.
    """
    usual = exponential(tries)
    if job is None:
        return usual, ""
    try:
        delay = job.get_retry_delay(tries)
        if isinstance(delay, bool) or not 0 <= delay <= 10 * 365 * 86400:
            raise ValueError(f"get_retry_delay({tries}) returned {delay!r}, which is no number of seconds")
        return float(delay), ""
    except Exception as error:  # noqa: BLE001 - the user's method may raise anything; the attempt's own error counts
        return usual, f"\nThen get_retry_delay failed, so the retry waits {usual:g} s:\n\n{traceback_of(error)}"


def as_json(value: Any) -> str | None:
    """What run() returned, as JSON; None where it cannot be kept."""
    try:
        return arguments.encode_value(value, max_bytes=MAX_VALUE_BYTES)
    except ArgumentsError:
        return None


def type_of(error: BaseException) -> str:
    cls = type(error)
    return storable(cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}", 500)


def message_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"<its message cannot be shown: str() raised {type(second).__name__}>"
    return storable(text, MAX_MESSAGE_CHARACTERS)


def traceback_of(error: BaseException) -> str:
    """The whole traceback, causes and contexts included, from the user's first frame on."""
    try:
        described = traceback.TracebackException.from_exception(error, compact=True)
        described.stack = traceback.StackSummary.from_list(without_own_frames(described.stack))
        text = "".join(described.format())
    except Exception as second:  # noqa: BLE001 - formatting calls the user's __str__ and __repr__
        text = f"{type_of(error)}: {message_of(error)}\n(no traceback: formatting it raised {type(second).__name__})\n"
    return storable(text, MAX_TRACEBACK_CHARACTERS)


def without_own_frames(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """A traceback begins where the user's code does. Where it never got there, jobq's frames are the story."""
    listed = list(frames)
    return [frame for frame in listed if not frame.filename.startswith(OWN_FOLDERS)] or listed


def storable(text: str, most: int) -> str:
    """Text as PostgreSQL takes it: no NUL, no lone surrogate, and not without end."""
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
