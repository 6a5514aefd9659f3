"""Decides the outcome of an attempt: the only place in a child that does so.

For attempts that could not report their own end, the supervisor's `endings` does it.
"""

import sys
from time import monotonic
from typing import Any

from jobq import states
from jobq.base import Job
from jobq.directives import Cancel, Defer, Fail, JobCancelled, JobTimedOut
from jobq.errors import RowGone
from jobq.fingerprints import fingerprint, own_frame
from jobq.options import MAX_RETRY_DELAY_SECONDS
from jobq.records import Assignment, Report
from jobq.registry import registry as known
from jobq.retries import exponential
from jobq.runtime.execution.measure import usage
from jobq.runtime.execution.redact import (
    MAX_MESSAGE_CHARACTERS,
    as_json,
    message_of,
    storable,
    traceback_of,
    type_of,
)
from jobq.runtime.protocol import (
    CANCELLED,
    DEFERRED,
    NOT_COMMITTED,
    TIMED_OUT,
    Order,
    OrderKind,
)
from jobq.states import Outcome


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
            fingerprint=fingerprint(assignment.job_class, TIMED_OUT),  # the same, wherever the job was at that moment
            aborted=job is None,
        )
    return failed(assignment, job, error)


def not_committed(assignment: Assignment) -> Report:
    """The job has recorded its success. If that record was not committed, its effects were not either."""
    error = RuntimeError("self.complete() was called, but its transaction was not committed")
    return failed(assignment, None, error)._replace(error_type=NOT_COMMITTED, traceback=None)


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
    """The delay that the job itself wants before the next attempt, and an error in asking it.

    A job that could not be made, or that gives no valid answer, waits a default time.
    """
    tries = assignment.tries
    usual = exponential(tries)
    if job is None:
        return usual, ""
    try:
        delay = job.get_retry_delay(tries)
        if isinstance(delay, bool) or not 0 <= delay <= MAX_RETRY_DELAY_SECONDS:
            raise ValueError(f"get_retry_delay({tries}) returned {delay!r}, which is not a number of seconds")
        return float(delay), ""
    except Exception as error:  # noqa: BLE001 - the user's method may raise anything; the attempt's own error counts
        told = traceback_of(error, assignment)
        return usual, f"\nThen get_retry_delay failed, so the retry waits {usual:g} s:\n\n{told}"


def retries_gone_rows(assignment: Assignment, job: Job | None) -> bool:
    """If the job could not be made because a row is missing, its class is asked."""
    job_class = known.find(assignment.job_class) if job is None else job
    return bool(getattr(job_class, "retry_when_row_is_gone", False))


def is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")  # where it is not loaded, no coroutine was cancelled
    return asyncio is not None and isinstance(error, asyncio.CancelledError)
