"""The worker's log of attempts: one line for each unsuccessful attempt, with its reason."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from jobq import arguments
from jobq.logging import EVENTS, FIELDS, TOLD, cut
from jobq.records import Assignment, Report
from jobq.runtime.protocol import CUT_OFF
from jobq.states import Outcome

log = logging.getLogger(EVENTS)

NAMES = "job=%s class=%s queue=%s attempt=%s/%s"
STARTED, SUCCESSFUL = f"job started {NAMES}", f"job successful {NAMES} ran=%.3fs"

is_in_child = False
"""Whether this is a child of a worker. In a test or a shell the exception itself is raised."""

MAX_ERROR_CHARACTERS = 1000
MAX_TRACEBACK_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Ended:
    """An unsuccessful attempt, as its log line describes it."""

    outcome: str
    id: int
    job_class: str
    queue: str
    attempt: int
    retries: int
    excused: int  # earlier attempts that did not count
    error: str
    seconds: float | None = None
    retry_delay: float | None = None
    traceback: str | None = None
    is_cut_off: bool = False  # its worker stops: nothing is wrong with the job


def tell_ended(reports: Iterable[Report]) -> None:
    for report in reports:
        if (assignment := report.assignment) is not None:
            tell(ended(assignment, report))


def tell_in_child(assignment: Assignment, report: Report, error: BaseException) -> None:
    """Logs to the application's own handlers of `logging`, and to listeners such as Sentry. The worker logs the same
    attempt, so the child's own handler skips this record. If the arguments hold a secret, the exception itself is left
    out, and its masked traceback is logged."""
    if not is_in_child:
        return
    one = ended(assignment, report)
    if (record := record_of(one)) is None:
        return
    setattr(record, TOLD, True)
    if one.outcome == Outcome.ERRORED and not arguments.have_secrets(assignment.arguments):
        record.exc_info = (type(error), error, error.__traceback__)
    record.exc_text = one.traceback
    log.handle(record)


def tell_start(assignment: Assignment) -> None:
    log.debug(STARTED, *names_of(assignment), extra={FIELDS: numbers_of(assignment)})


def tell_success(assignment: Assignment, report: Report) -> None:
    seconds = 0.0 if report.started is None else report.ended - report.started
    log.debug(SUCCESSFUL, *names_of(assignment), seconds, extra={FIELDS: numbers_of(assignment)})


def names_of(one: "Assignment | Ended") -> list[object]:
    return [one.id, one.job_class, one.queue, one.attempt, max_attempts(one)]


def numbers_of(one: "Assignment | Ended") -> dict[str, object]:
    """The JSON log has numbers in the place of the text `1/4`."""
    return {"attempt": one.attempt, "max_attempts": max_attempts(one)}


def max_attempts(one: "Assignment | Ended") -> int:
    """Attempts that do not count against the retries are added."""
    return one.retries + 1 + one.excused


def ended(assignment: Assignment, report: Report) -> Ended:
    return Ended(
        outcome=report.outcome,
        id=assignment.id,
        job_class=assignment.job_class,
        queue=assignment.queue,
        attempt=assignment.attempt,
        retries=assignment.retries,
        excused=assignment.excused,
        error=f"{report.error_type}: {report.error_message}" if report.error_message else str(report.error_type),
        seconds=None if report.started is None else max(0.0, report.ended - report.started),
        retry_delay=report.retry_delay,
        traceback=report.traceback,
        is_cut_off=report.error_type == CUT_OFF,
    )


def tell(one: Ended) -> None:
    if (record := record_of(one)) is not None:
        if one.traceback is not None:
            getattr(record, FIELDS)["traceback"] = one.traceback[-MAX_TRACEBACK_CHARACTERS:]
        log.handle(record)


def record_of(one: Ended) -> logging.LogRecord | None:
    """None: nobody asks for it."""
    if not log.isEnabledFor(level := level_of(one)):
        return None
    template = f"job {one.outcome} {NAMES} error=%s"
    values = [*names_of(one), cut(one.error, MAX_ERROR_CHARACTERS)]
    if one.seconds is not None:
        template, values = f"{template} ran=%.3fs", [*values, one.seconds]
    if one.retry_delay is not None:
        template, values = f"{template} retry_in=%gs", [*values, one.retry_delay]
    extra = {FIELDS: {"outcome": one.outcome, **numbers_of(one)}}
    return log.makeRecord(log.name, level, __file__, 0, template, tuple(values), None, extra=extra)


def level_of(one: Ended) -> int:
    """An error if the job rests and needs somebody; a warning if it runs again by itself."""
    if one.outcome in (Outcome.ERRORED, Outcome.LOST) and not one.is_cut_off:
        return logging.ERROR if one.retry_delay is None else logging.WARNING
    return logging.DEBUG if one.outcome == Outcome.DEFERRED else logging.INFO
