"""Reports to Sentry each failed attempt with its job, and the runs of schedules. Needs the extra `jobq[sentry]`.

    [tool.jobq]
    middleware = ["jobq.sentry.report"]

The application itself calls `sentry_sdk.init()`. If it has not, nothing is sent.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_OID, uuid5

from jobq import arguments, settings
from jobq.logging import EVENTS
from jobq.records import Assignment, Report
from jobq.registry import registry
from jobq.states import Outcome
from jobq.telemetry import SCHEDULE, carrier_of

try:
    import sentry_sdk
except ModuleNotFoundError:
    raise ImportError("jobq.sentry needs the package sentry-sdk. Install jobq[sentry].") from None

from sentry_sdk.crons import capture_checkin
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.tracing_utils import has_tracing_enabled
from sentry_sdk.utils import event_from_exception

if TYPE_CHECKING:
    from sentry_sdk.types import Event, MonitorConfig

BUILD = "JOBQ_BUILD"
"""An environment variable: the release, if neither `init()` nor Sentry's SDK knows one."""

MAX_ARGUMENTS_CHARACTERS = 16_000

MAX_SLUG_CHARACTERS = 50

CHECKIN_MARGIN_MINUTES = 5
"""A run that begins later than this, plus the schedule's jitter, counts as missed."""

ignore_logger(EVENTS)  # the same failures, without their job


@contextmanager
def report(assignment: Assignment) -> "Iterator[Observed]":
    """Surrounds an attempt, including the loading of its arguments: events sent meanwhile name the job."""
    if not sentry_sdk.get_client().is_active():
        yield Observed(assignment, None)
        return
    with sentry_sdk.isolation_scope() as scope:
        describe(scope, assignment)
        observed = Observed(assignment, tick_of(assignment))
        with transaction_of(assignment):
            yield observed


report.observes_attempts = True  # type: ignore[attr-defined]  # for jobq.runtime.middleware


class Observed:
    """One attempt. Errors of the SDK itself never reach the job."""

    def __init__(self, assignment: Assignment, tick: "Tick | None") -> None:
        self._assignment = assignment
        self._tick = tick
        self._started = monotonic()
        if tick is not None:
            tick.check_in("in_progress")

    def ended(self, report: Report, error: BaseException | None) -> None:
        if not sentry_sdk.get_client().is_active():
            return
        if (span := sentry_sdk.get_current_span()) is not None:
            span.set_status("ok" if report.outcome == Outcome.SUCCESSFUL else "internal_error")
        if report.outcome == Outcome.ERRORED:
            capture(report, error)
        if self._tick is not None and (status := status_of(report)) is not None:
            self._tick.check_in(status, monotonic() - self._started)


def capture(report: Report, error: BaseException | None) -> None:
    """An attempt that is retried is a warning; the last one is an error."""
    level: Any = "error" if report.retry_delay is None else "warning"
    if error is None:  # its success was rolled back
        sentry_sdk.capture_message(f"{report.error_type}: {report.error_message}", level)
        return
    options = sentry_sdk.get_client().options
    event, hint = event_from_exception(error, options, mechanism={"type": "jobq", "handled": False})
    event["level"] = level
    sentry_sdk.capture_event(event, hint)


def status_of(report: Report) -> str | None:
    """How a run of a schedule ended. None if another attempt follows."""
    if report.retry_delay is not None:
        return None
    return "ok" if report.outcome == Outcome.SUCCESSFUL else "error"


# The job


def describe(scope: sentry_sdk.Scope, assignment: Assignment) -> None:
    job_id = assignment.id if assignment.hook is None else json.loads(assignment.hook)["job_id"]
    scope.set_transaction_name(name_of(assignment), source="task")
    scope.set_tag("jobq.class", assignment.job_class)
    scope.set_tag("jobq.queue", assignment.queue)
    scope.set_tag("jobq.job", str(job_id))
    scope.set_context(
        "jobq",
        {
            "job": job_id,
            "class": assignment.job_class,
            "queue": assignment.queue,
            "attempt": assignment.attempt,
            "max_attempts": assignment.retries + 1 + assignment.excused,
            "priority": assignment.priority,
            "arguments": shown_arguments(assignment.arguments),
        },
    )
    scope.add_event_processor(processor_of(assignment.arguments))


def name_of(assignment: Assignment) -> str:
    return assignment.job_class if assignment.hook is None else f"{assignment.job_class}.on_aborted"


def shown_arguments(stored: str) -> Any:
    """In their stored form, with secrets masked. Arguments that are not JSON fail to load, and are not shown."""
    if len(stored) > MAX_ARGUMENTS_CHARACTERS:
        return f"{len(stored):,} characters: too large to show"
    try:
        return arguments.without_secrets(json.loads(stored))
    except (ValueError, RecursionError):
        return "no JSON"


def processor_of(stored: str) -> "Callable[[Event, dict[str, Any]], Event]":
    """Processes each outgoing event: adds a release, and removes the secrets of the job's arguments."""
    mask = arguments.masker(stored)

    def process(event: "Event", _hint: dict[str, Any]) -> "Event":
        if not sentry_sdk.get_client().options.get("release") and (build := os.environ.get(BUILD)):
            event.setdefault("release", build)
        return event if mask is None else cast("Event", masked(event, mask))

    return process


def masked(value: Any, mask: Callable[[str], str]) -> Any:
    """Every text in it, at any depth: messages, local variables, breadcrumbs, tags."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {masked(key, mask): masked(item, mask) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, mask) for item in value]
    return value


def transaction_of(assignment: Assignment) -> Any:
    """If the application has turned tracing on."""
    if not has_tracing_enabled(sentry_sdk.get_client().options):
        return nullcontext()
    transaction = sentry_sdk.start_transaction(op="queue.process", name=name_of(assignment), source="task")
    for name, value in {
        "messaging.system": "jobq",
        "messaging.message.id": str(assignment.id),
        "messaging.destination.name": assignment.queue,
        "messaging.message.retry.count": assignment.attempt - 1,
        "messaging.message.receive.latency": assignment.waited_microseconds / 1000,
    }.items():
        transaction.set_data(name, value)
    return transaction


# Schedules


class Tick:
    """The run of a schedule, as a check-in for Sentry: one for all attempts of its job, in any process."""

    def __init__(self, schedule: str, assignment: Assignment) -> None:
        self._slug = slug_of(schedule)
        self._config = config_of(schedule, assignment.timeout)
        run = f"{schedule} {assignment.id} {assignment.enqueued_microseconds}"
        self._id = uuid5(NAMESPACE_OID, run).hex

    def check_in(self, status: str, seconds: float | None = None) -> None:
        capture_checkin(self._slug, self._id, status, seconds, self._config)


def tick_of(assignment: Assignment) -> Tick | None:
    """None: the job was not enqueued by a tick."""
    if assignment.hook is not None or (schedule := carrier_of(assignment.trace_context).get(SCHEDULE)) is None:
        return None
    return Tick(schedule, assignment)


def slug_of(schedule: str) -> str:
    """A schedule's name as a Sentry slug."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", schedule.lower()).strip("-")
    if len(slug) <= MAX_SLUG_CHARACTERS:
        return slug
    return f"{slug[: MAX_SLUG_CHARACTERS - 9]}-{hashlib.sha256(schedule.encode()).hexdigest()[:8]}"


def config_of(schedule: str, timeout: float | None) -> "MonitorConfig | None":
    """The monitor that Sentry creates or changes. None if this process does not know the schedule."""
    found = next((one.schedule for one in registry.scheduled if one.name == schedule), None)
    if found is None:
        return None
    config: MonitorConfig = {
        "schedule": {"type": "crontab", "value": found.expression},
        "timezone": found.timezone or default_timezone(),
        "checkin_margin": CHECKIN_MARGIN_MINUTES + math.ceil(found.jitter / 60),
    }
    if timeout is not None:
        config["max_runtime"] = max(1, math.ceil(timeout / 60))
    return config


@cache
def default_timezone() -> str:
    return settings.load().timezone
