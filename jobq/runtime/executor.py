"""Runs one job in this process and says how it ended: the only place that names the outcome of a run."""

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import dropwhile
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import monotonic
from typing import Any, TypeVar

from jobq import arguments, references, states, telemetry
from jobq.base import Job
from jobq.directives import Cancel, Defer, Fail, JobCancelled, JobTimedOut
from jobq.errors import ArgumentsError, RowGone
from jobq.fingerprints import fingerprint, own_frame
from jobq.frameworks import surroundings
from jobq.names import name_of
from jobq.options import MAX_RETRY_DELAY_SECONDS
from jobq.records import Assignment, AttemptRecord, Completion, Report, RunningJob
from jobq.registry import Registry
from jobq.registry import registry as known
from jobq.retries import exponential
from jobq.running import CURRENT
from jobq.runtime import loop, middleware
from jobq.runtime.guard import Guard
from jobq.runtime.protocol import CANCELLED, DEFERRED, NOT_COMMITTED, TIMED_OUT, Order, OrderKind
from jobq.states import Outcome

Result = TypeVar("Result")

MAX_MESSAGE_CHARACTERS = 10_000
MAX_TRACEBACK_CHARACTERS = 100_000
MAX_VALUE_BYTES = 256 * 1024
MAX_NOTE_CHARACTERS = 500

PACKAGE = Path(__file__).parents[1]
OWN_CODE = (
    *(str(PACKAGE / folder) + os.sep for folder in ("runtime", "frameworks", "cli", "django")),
    str(PACKAGE / "functions.py"),
)
"""Where the code lies that calls the user's."""
ASYNCIO = str(Path(traceback.__file__).with_name("asyncio")) + os.sep
"""Where the loop's own code lies, which calls jobq's."""


def execute(
    assignment: Assignment,
    registry: Registry,
    guard: Guard | None = None,
    *,
    on_error: Callable[[BaseException], None] | None = None,
) -> Report:
    """Looks up the class, makes the job again from its arguments, runs it, and names the outcome.

    Whatever the user's code raises, SystemExit and KeyboardInterrupt included, ends in a report. Who calls from a
    test or a shell may want the exception itself: `on_error` gets it, and may raise.
    """
    guard = guard or Guard()
    if assignment.hook is not None or not telemetry.is_on():
        return attempt(assignment, registry, guard, on_error)
    with telemetry.processing(assignment) as processing:
        report = attempt(assignment, registry, guard, on_error)
        processing.ended(report)
    return report


def attempt(
    assignment: Assignment,
    registry: Registry,
    guard: Guard,
    on_error: Callable[[BaseException], None] | None,
) -> Report:
    job: Job | None = None
    process = os.getpid()
    running = Running(assignment, guard)
    try:
        try:
            guard.open(assignment.id, assignment.attempt)
            if surroundings.are_needed or references.belong_to_loops:
                value = surrounded(assignment, registry, running, guard)
            else:  # most are plain, and short
                job = build(assignment, registry, running)
                value = run(job, guard) if assignment.hook is None else call_hook(job, assignment.hook, guard)
        finally:
            guard.close()
            references.close_opened()
    except BaseException as error:  # noqa: BLE001 - the edge around the user's code
        leave_if_forked(process)
        if on_error is not None:
            on_error(error)
        report = running.unsuccessful(ended_by(error, assignment, job or running.made, guard.delivered))
    else:
        report = running.successful(value)
    leave_if_forked(process)  # the report too asks code of the user's, such as get_retry_delay()
    if surroundings.are_needed:
        surroundings.leave()
    return report


def surrounded(assignment: Assignment, registry: Registry, running: "Running", guard: Guard) -> Any:
    """What `run` returned, with what the application and its frameworks want around an attempt.

    None where a context manager takes an error upon itself. A copy that the job forked ends in here: it must not leave
    the surroundings of its parent too.
    """
    process = os.getpid()
    with surroundings.entered():
        try:
            job = running.made = build_in_turn(assignment, registry, running, guard)
            return run(job, guard) if assignment.hook is None else call_hook(job, assignment.hook, guard)
        finally:
            leave_if_forked(process)
            guard.close()
            references.close_opened()


def build_in_turn(
    assignment: Assignment, registry: Registry, running: "Running | None" = None, guard: Guard | None = None
) -> Job:
    if not references.are_of_loops(assignment.arguments):
        return build(assignment, registry, running)
    job_class = registry.get(assignment.job_class)
    return in_session_of(job_class, lambda: build(assignment, registry, running), guard)


def in_session_of(job_class: type[Job], load: Callable[[], Result], guard: Guard | None = None) -> Result:
    """Calls a function that loads the rows of a job.

    A coroutine's rows come from the loop that it will run in, where the application's sessions belong to loops.
    """
    if not references.belong_to_loops or not inspect.iscoroutinefunction(job_class.run):
        return load()
    result: Result = loop.run(references.in_session_of_loop(load), guard or Guard())
    return result


async def execute_async(assignment: Assignment, registry: Registry, guard: Guard) -> Report:
    """The same for a coroutine in an event loop, beside others."""
    if not telemetry.is_on():
        return await attempt_async(assignment, registry, guard)
    with telemetry.processing(assignment) as processing:
        report = await attempt_async(assignment, registry, guard)
        processing.ended(report)
    return report


async def attempt_async(assignment: Assignment, registry: Registry, guard: Guard) -> Report:
    process = os.getpid()
    running = Running(assignment, guard)
    try:
        try:
            guard.open(assignment.id, assignment.attempt)
            value = await surrounded_beside_others(assignment, registry, running, guard)
        finally:
            guard.close()
    except BaseException as error:  # noqa: BLE001 - the edge around the user's code
        leave_if_forked(process)
        report = running.unsuccessful(ended_by(error, assignment, running.made, guard.delivered))
    else:
        report = running.successful(value)
    leave_if_forked(process)
    return report


async def surrounded_beside_others(assignment: Assignment, registry: Registry, running: "Running", guard: Guard) -> Any:
    process = os.getpid()
    async with surroundings.entered_beside_others() if surroundings.are_needed else nullcontext():
        try:
            job = running.made = await built_beside_others(assignment, registry, running)
            CURRENT.set(running)  # in the context of this task, which ends with it
            value = job.run() if middleware.chain is None else middleware.chain.call_async(job, guard)
            return await value if inspect.isawaitable(value) else value
        finally:
            leave_if_forked(process)
            guard.close()
            references.close_opened()


async def built_beside_others(assignment: Assignment, registry: Registry, running: "Running") -> Job:
    """Rows are loaded in a thread: the database that they come from must not hold the others up."""
    if not references.may_be_in(assignment.arguments):
        return build(assignment, registry, running)
    if references.are_of_loops(assignment.arguments):
        return await references.in_session_of_loop(lambda: build(assignment, registry, running))
    references.OPENED.set([])  # a list that the thread's copy of this context shares
    return await surroundings.in_thread(build, assignment, registry, running)


def build(assignment: Assignment, registry: Registry, running: "Running | None" = None) -> Job:
    job_class = registry.get(assignment.job_class)
    job = arguments.rebuild(job_class, arguments.decode(assignment.arguments))
    assert isinstance(job, Job)
    object.__setattr__(job, "_attempt", running or Running(assignment, Guard()))  # also in a frozen dataclass
    return job


def perform(job: Job) -> Any:
    """Runs a job here and now, outside any worker: it knows itself as attempt 1 of job 0."""
    name, now = name_of(type(job)), int(datetime.now(UTC).timestamp() * 1e6)
    assignment = Assignment(0, 1, 0, 0, 0, job.get_priority(), now, job.get_queue(), name, "{}")
    object.__setattr__(job, "_attempt", Running(assignment, Guard()))
    return run(job)


def run(job: Job, guard: Guard | None = None) -> Any:
    """Runs a job with its middleware around it; a coroutine is run to its end."""
    guard = guard or Guard()
    token = CURRENT.set(job._attempt)
    try:
        if (chain := middleware.chain) is None:
            return awaited(job.run(), guard)
        return chain.call(job, lambda job: awaited(chain.call_async(job, guard), guard))
    finally:
        CURRENT.reset(token)


def awaited(value: Any, guard: Guard) -> Any:
    """The value itself, or what a coroutine comes to."""
    if not inspect.iscoroutine(value):
        return value
    return loop.run(value, guard)


def call_hook(job: Job, hook: str, guard: Guard) -> Any:
    """Tells the job of an attempt that could not see its own end."""
    result = json.loads(hook)["result"]
    for name in ("started_at", "ended_at"):
        result[name] = datetime.fromisoformat(result[name]) if result.get(name) else None
    tell: Callable[[AttemptRecord], Any] = job.on_aborted  # it may be a coroutine too
    token = CURRENT.set(job._attempt)
    try:
        return awaited(tell(AttemptRecord(**{"worker": None, "value": None, "traceback": None, **result})), guard)
    finally:
        CURRENT.reset(token)


class Running:
    """An attempt while it runs, and how it ended: what a job knows of itself."""

    __slots__ = ("_assignment", "_guard", "_is_completed", "_started", "made")

    def __init__(self, assignment: Assignment, guard: Guard) -> None:
        self._assignment = assignment
        self._guard = guard
        self._is_completed = False
        self.made: Job | None = None  # from its arguments, where something surrounds the attempt
        self._started = monotonic()
        usage.begin(self._started)

    @property
    def job(self) -> RunningJob:
        assignment = self._assignment
        return RunningJob(
            id=assignment.id if assignment.hook is None else json.loads(assignment.hook)["job_id"],
            attempt=assignment.attempt,
            tries=assignment.tries,
            retries=assignment.retries,
            job_class=assignment.job_class,
            queue=assignment.queue,
            priority=assignment.priority,
            enqueued_at=datetime.fromtimestamp(assignment.enqueued_microseconds / 1e6, UTC),
        )

    @property
    def cancel_requested(self) -> bool:
        return self._guard.delivered is not None

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        said = {"done": done, "total": total, "message": None if message is None else storable(message, len(message))}
        self._guard.tell(self._assignment.id, self._assignment.attempt, said)

    def completion(self, value: Any) -> Completion | None:
        """The success of this attempt, for the job to record it itself; None where no worker would."""
        worker_id = self._guard.worker_id
        if worker_id is None or self._assignment.id <= 0:
            return None
        return Completion(worker_id, self._measured(succeeded(self._assignment, value, self._started)))

    def completed(self) -> None:
        self._is_completed = True

    def successful(self, value: Any) -> Report:
        if self._is_completed:
            return self._not_committed()
        return self._measured(succeeded(self._assignment, value, self._started))

    def _measured(self, report: Report) -> Report:
        """What a process used while it ran several jobs is not one's own."""
        return report._replace(cpu_microseconds=None) if self._guard.is_shared else report

    def unsuccessful(self, report: Report) -> Report:
        cpu, memory = usage.end(self._started, report.ended)
        return self._measured(
            report._replace(
                started=None if report.aborted else self._started,
                cpu_microseconds=cpu,
                peak_memory_kilobytes=memory,
                completed=self._is_completed,
            )
        )

    def _not_committed(self) -> Report:
        """The job has recorded its success. If that is not so in the end, its effects are not there either."""
        error = RuntimeError("self.complete() was called, but its transaction was not committed")
        report = failed(self._assignment, None, error)
        return self.unsuccessful(report)._replace(error_type=NOT_COMMITTED, traceback=None)


MEASURE_SECONDS = 0.001
"""The kernel is asked what a process used at most so often: asking costs as much as the shortest jobs do. A job that is
shorter has its run time for CPU time, and for memory what the process held before. Of longer ones both are right to
about what a process does in this time."""

IDLE_SECONDS = 0.1
"""After a pause, what the process did in it (the threads that jobs leave behind) is not the next job's."""


class Usage:
    """What the attempts of this process use."""

    def __init__(self) -> None:
        self._at = 0.0  # when the kernel was asked last …
        self._cpu = 0.0  # … and what it said
        self._least = 0  # what the process held then without the job; a peak above it is the job's own

    def begin(self, now: float) -> None:
        if now - self._at > IDLE_SECONDS:
            self._measure(now)

    def end(self, started: float, now: float) -> tuple[int, int]:
        """CPU time in microseconds, and the peak of memory in kilobytes, of the attempt that ends now."""
        seconds = now - started
        if now - self._at <= MEASURE_SECONDS:
            return int(seconds * 1e6), self._least
        before = self._cpu
        peak = self._measure(now)
        if seconds > MEASURE_SECONDS:
            seconds = self._cpu - before
        return int(seconds * 1e6), peak

    def _measure(self, now: float) -> int:
        """Returns the peak of memory."""
        used = getrusage(RUSAGE_SELF)
        self._at = now
        self._cpu = used.ru_utime + used.ru_stime
        peak = used.ru_maxrss // KILOBYTE
        if peak > self._least:
            self._least = peak
            self._begin_anew()
        return peak

    def _begin_anew(self) -> None:
        """After a new peak, and not after every job: the kernel forgets it, so that the next job's is its own."""
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")
        except OSError:
            return  # not on this platform, or not allowed: then it is the peak of the process so far
        self._least = getrusage(RUSAGE_SELF).ru_maxrss // KILOBYTE


KILOBYTE = 1024 if sys.platform == "darwin" else 1
"""In the unit in which the kernel tells the peak of memory."""

usage = Usage()


def leave_if_forked(process: int) -> None:
    """A job that forked and came back here twice must report once: the copy ends without a word."""
    if os.getpid() != process:
        os._exit(0)


def succeeded(assignment: Assignment, value: Any, started: float) -> Report:
    ended = monotonic()
    cpu, memory = usage.end(started, ended)
    return Report(
        assignment.id,
        assignment.attempt,
        "successful",  # Outcome.SUCCESSFUL as its text: this line is passed tens of thousands of times a second
        started,
        ended,
        cpu,
        memory,
        None if value is None else as_json(value, assignment),
    )


def ended_by(error: BaseException, assignment: Assignment, job: Job | None, order: Order | None) -> Report:
    """The report on an attempt that raised. An order to cancel outweighs whatever the job raises at its end."""
    if order is not None and order.kind is OrderKind.CANCEL:
        return cancelled(assignment, error, order.message, has_begun=job is not None)
    match error:
        case Cancel() | JobCancelled():
            message = f"cancelled by the job itself: {message_of(error, assignment)}"
            return cancelled(assignment, error, message.rstrip(": "))
        case Defer():
            return deferred(assignment, job, error)
        case Fail():
            return failed(assignment, job, error, may_retry=False)
        case RowGone():
            return failed(assignment, job, error, may_retry=retries_gone_rows(assignment, job))
    if order is not None and (isinstance(error, JobTimedOut) or is_cancellation(error)):
        report = failed(assignment, job, error)
        return report._replace(
            error_type=TIMED_OUT,
            error_message=order.message,
            fingerprint=fingerprint(assignment.job_class, TIMED_OUT),  # wherever it was at that moment
            aborted=job is None,
        )
    return failed(assignment, job, error)


def retries_gone_rows(assignment: Assignment, job: Job | None) -> bool:
    """Where the job could not be made again, for want of the row, its class is asked."""
    job_class = known.find(assignment.job_class) if job is None else job
    return bool(getattr(job_class, "retry_when_row_is_gone", False))


def is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")  # where it is not loaded, no coroutine was cancelled
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def cancelled(assignment: Assignment, error: BaseException, message: str, *, has_begun: bool = True) -> Report:
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.CANCELLED.value,
        started=None,
        ended=monotonic(),
        error_type=CANCELLED,
        error_message=storable(message, MAX_MESSAGE_CHARACTERS),
        traceback=traceback_of(error, assignment) if has_begun else None,
        aborted=not has_begun,
    )


def deferred(assignment: Assignment, job: Job | None, error: Defer) -> Report:
    if error.counts_as_attempt and not states.may_retry(tries=assignment.tries, retries=assignment.retries):
        return failed(assignment, job, error, may_retry=False)
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.DEFERRED.value,
        started=None,
        ended=monotonic(),
        error_type=DEFERRED,
        error_message=message_of(error, assignment) or f"put back for {error.seconds:g} s",
        retry_delay=error.seconds,
        excused=not error.counts_as_attempt,
    )


def failed(assignment: Assignment, job: Job | None, error: BaseException, *, may_retry: bool = True) -> Report:
    ended = monotonic()
    described = traceback_of(error, assignment)
    retry_delay = None
    if may_retry and states.may_retry(tries=assignment.tries, retries=assignment.retries):
        retry_delay, trouble = delay_of(job, assignment)
        described += trouble
    error_type, message, frame = type_of(error), message_of(error, assignment), own_frame(error)
    job_class = known.find(assignment.job_class) if job is None else type(job)
    qualname = getattr(job_class, "__qualname__", "")
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.ERRORED.value,
        started=None,
        ended=ended,
        error_type=error_type,
        error_message=message,
        traceback=described,
        retry_delay=retry_delay,
        fingerprint=fingerprint(assignment.job_class, error_type, frame, message, qualname=qualname),
        frame=None if frame is None else storable(frame, 500),
    )


def delay_of(job: Job | None, assignment: Assignment) -> tuple[float, str]:
    """The seconds that the job itself wants before the next attempt, and what went wrong in asking it.

    A job that could not be made again, or whose answer is none, waits a usual time.
    """
    tries = assignment.tries
    usual = exponential(tries)
    if job is None:
        return usual, ""
    try:
        delay = job.get_retry_delay(tries)
        if isinstance(delay, bool) or not 0 <= delay <= MAX_RETRY_DELAY_SECONDS:
            raise ValueError(f"get_retry_delay({tries}) returned {delay!r}, which is no number of seconds")
        return float(delay), ""
    except Exception as error:  # noqa: BLE001 - the user's method may raise anything; the attempt's own error counts
        told = traceback_of(error, assignment)
        return usual, f"\nThen get_retry_delay failed, so the retry waits {usual:g} s:\n\n{told}"


def as_json(value: Any, assignment: Assignment) -> str:
    """What run() returned, as JSON; a note in its place where it cannot be kept."""
    try:
        return arguments.encode_value(value, max_bytes=MAX_VALUE_BYTES)
    except ArgumentsError as error:
        note = f"run() returned a value of type {kind_of(value)}, which is not kept: {error}"
        return arguments.encode_note(storable(without_secrets(note, assignment), MAX_NOTE_CHARACTERS))


def kind_of(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def type_of(error: BaseException) -> str:
    return storable(kind_of(error), 500)


def message_of(error: BaseException, assignment: Assignment | None = None) -> str:
    """Its text, without the secrets of the assignment: they are masked before anything is cut."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"<its message cannot be shown: str() raised {type(second).__name__}>"
    return storable(without_secrets(text, assignment), MAX_MESSAGE_CHARACTERS)


def traceback_of(error: BaseException, assignment: Assignment | None = None) -> str:
    """The whole traceback, causes and contexts included, from the user's first frame on; as `message_of`, masked."""
    try:
        described = traceback.TracebackException.from_exception(error, compact=True)
        described.stack = traceback.StackSummary.from_list(without_own_frames(described.stack))
        text = "".join(described.format())
    except Exception as second:  # noqa: BLE001 - formatting calls the user's __str__ and __repr__
        text = f"{type_of(error)}: {message_of(error, assignment)}\n"
        text += f"(no traceback: formatting it raised {type(second).__name__})\n"
    return storable(without_secrets(text, assignment), MAX_TRACEBACK_CHARACTERS)


def without_secrets(text: str, assignment: Assignment | None) -> str:
    return text if assignment is None else arguments.masked(text, assignment.arguments)


def without_own_frames(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """A traceback begins where the user's code does. Where it never got there, jobq's frames are the story."""
    listed = list(frames)
    others = [frame for frame in listed if not frame.filename.startswith(OWN_CODE)]
    return list(dropwhile(lambda frame: frame.filename.startswith(ASYNCIO), others)) or listed


def storable(text: str, most: int) -> str:
    """Text as PostgreSQL takes it: no NUL, no lone surrogate, and not without end."""
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
