"""OpenTelemetry: the only import of it, and only if the application has set up its SDK.

Names follow the messaging conventions. Without an SDK nothing here costs more than the check for one.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from jobq.histograms import MIDDLES
from jobq.records import Assignment, Count, NewJob, NewJobs, Report, Stats
from jobq.states import Outcome

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from jobq.store.enqueueing import Added

SCOPE = "jobq"

SCHEDULE = "jobq-schedule"
"""A header of jobs that a tick enqueued: the name of its schedule."""

AUTO = "opentelemetry.instrumentation.auto_instrumentation"
"""The module by which `opentelemetry-instrument` sets up an SDK in a process."""

METRICS_EXPORTER = "OTEL_METRICS_EXPORTER"

STATS_SECONDS = 1.0
"""All gauges of one export are read at once."""


def is_on() -> bool:
    """Whether the application has set up an SDK, for traces or for metrics."""
    if "opentelemetry" not in sys.modules:  # as for every job where it is not used
        return False
    return is_set_up("opentelemetry.trace", "get_tracer_provider") or is_set_up(
        "opentelemetry.metrics", "get_meter_provider"
    )


def is_set_up(module: str, getter: str) -> bool:
    """Until an SDK is set up, the provider is one of the API's own."""
    api = sys.modules.get(module)
    get = getattr(api, getter, None)  # None while another thread is about to import it
    return get is not None and not type(get()).__module__.startswith(module)


# Sending


class Sending:
    """Jobs on their way into the database. Without an SDK they pass unchanged."""

    def __init__(self, jobs: Sequence[NewJob], span: "Span | None" = None) -> None:
        self.jobs = jobs
        self._span = span

    def sent(self, added: "Sequence[Added | None]", when_committed: Callable[[Callable[[], None]], None]) -> None:
        """The jobs are in, except those whose unique key is held. They count when the transaction commits."""
        if self._span is None:
            return
        if len(added) == 1 and added[0] is not None:
            self._span.set_attribute("messaging.message.id", str(added[0].id))
        queues = [job.queue for job, one in zip(self.jobs, added, strict=True) if one is not None]
        when_committed(lambda: count_sent(queues))


@contextmanager
def sending(jobs: Sequence[NewJob]) -> Iterator[Sending]:
    """The span around a send. Each job takes its context along."""
    if not is_on():
        yield Sending(jobs)
        return
    from opentelemetry import propagate, trace

    new = NewJobs.of(jobs)
    queues = {like.queue for like in new.kinds.values()}
    began = monotonic()
    attributes = sending_attributes(new, queues)
    error: BaseException | None = None
    name = f"send {next(iter(queues))}" if len(queues) == 1 else "send"
    tracer = trace.get_tracer(SCOPE)
    with tracer.start_as_current_span(name, kind=trace.SpanKind.PRODUCER, attributes=attributes) as span:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        context = json.dumps(carrier) if carrier else None
        try:
            yield Sending(new.traced(context), span)
        except BaseException as raised:
            error = raised
            span.set_attribute("error.type", type(raised).__qualname__)
            raise
        finally:
            measured = common("send", "send") | ({"error.type": type(error).__qualname__} if error else {})
            for queue in queues:
                instruments().operation_duration.record(
                    monotonic() - began, {**measured, "messaging.destination.name": queue}
                )


def sending_attributes(jobs: NewJobs, queues: set[str]) -> "dict[str, AttributeValue]":
    attributes = common("send", "send")
    if len(queues) == 1:
        attributes["messaging.destination.name"] = next(iter(queues))
    if len(classes := {like.job_class for like in jobs.kinds.values()}) == 1:
        attributes["code.function.name"] = next(iter(classes))
    if len(jobs) == 1:
        attributes["messaging.message.body.size"] = len(jobs.arguments[0])
    else:
        attributes["messaging.batch.message_count"] = len(jobs)
    return attributes


def count_sent(queues: Iterable[str]) -> None:
    counts: dict[str, int] = {}
    for queue in queues:
        counts[queue] = counts.get(queue, 0) + 1
    for queue, count in counts.items():
        instruments().sent.add(count, {**common("send", "send"), "messaging.destination.name": queue})


# Processing


class Processing:
    """One attempt while it runs."""

    def __init__(self, assignment: Assignment, span: "Span", began: float) -> None:
        self._assignment = assignment
        self._span = span
        self._began = began

    def ended(self, report: Report, error: BaseException | None = None) -> None:
        from opentelemetry.trace import Status, StatusCode

        assignment, span = self._assignment, self._span
        span.set_attribute("jobq.job.outcome", report.outcome)
        measured = common("process", "process") | {
            "messaging.destination.name": assignment.queue,
            "code.function.name": assignment.job_class,
        }
        if report.outcome == Outcome.ERRORED and report.error_type is not None:
            measured["error.type"] = report.error_type
            span.set_attribute("error.type", report.error_type)
            span.set_status(Status(StatusCode.ERROR, report.error_message))
            exception = {
                "exception.type": report.error_type,
                "exception.message": report.error_message,
                "exception.stacktrace": report.traceback,
            }
            span.add_event("exception", {name: text for name, text in exception.items() if text is not None})
        instruments().process_duration.record(monotonic() - self._began, measured)
        instruments().consumed.add(1, measured)
        instruments().time_in_queue.record(max(0, assignment.waited_microseconds) / 1e6, measured)


@contextmanager
def processing(assignment: Assignment) -> Iterator[Processing]:
    """The span around an attempt, linked to the one that sent the job."""
    from opentelemetry import propagate, trace

    sender = trace.get_current_span(propagate.extract(carrier_of(assignment.trace_context)))
    links = [trace.Link(sender.get_span_context())] if sender.get_span_context().is_valid else []
    attributes = common("process", "process") | {
        "messaging.destination.name": assignment.queue,
        "messaging.message.id": str(assignment.id),
        "messaging.message.body.size": len(assignment.arguments),
        "code.function.name": assignment.job_class,
        "jobq.job.attempt": assignment.attempt,
    }
    with trace.get_tracer(SCOPE).start_as_current_span(
        f"process {assignment.queue}", kind=trace.SpanKind.CONSUMER, links=links, attributes=attributes
    ) as span:
        yield Processing(assignment, span, monotonic())


def carrier_of(trace_context: str | None) -> dict[str, str]:
    """The trace headers stored with a job. Values written by hand do not count."""
    try:
        stored = json.loads(trace_context or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {name: header for name, header in stored.items() if isinstance(header, str)}


# Observing


def observe_queues(read: Callable[[], Stats]) -> None:
    """Makes an SDK's readers ask for the state of all queues and workers at each export."""
    if not is_set_up("opentelemetry.metrics", "get_meter_provider"):
        return
    from opentelemetry import metrics

    stats = Recent(read)
    meter = metrics.get_meter(SCOPE)
    for name, unit, description, value in (
        ("jobq.queue.depth", "{job}", "Jobs that are pending.", "pending"),
        ("jobq.queue.scheduled", "{job}", "Jobs whose time has not come.", "scheduled"),
        ("jobq.queue.running", "{job}", "Jobs that are running.", "running"),
        ("jobq.queue.oldest_age", "s", "How long the oldest pending job has been due.", "oldest_seconds"),
    ):
        meter.create_observable_gauge(name, [of_queues(stats, value)], unit, description)
    for name, unit, description, value in (
        ("jobq.gate.running", "{job}", "Jobs that run through the gate.", "running"),
        ("jobq.gate.waiting", "{job}", "Jobs that wait at the gate; counted up to a limit.", "waiting"),
        ("jobq.gate.oldest_age", "s", "How long the oldest job at the gate has been due.", "oldest_seconds"),
    ):
        meter.create_observable_gauge(name, [of_gates(stats, value)], unit, description)
    meter.create_observable_gauge("jobq.workers", [of_workers(stats)], "{worker}", "Workers that have not signed off.")


def of_queues(stats: "Recent", value: str) -> "Callable[[CallbackOptions], list[Observation]]":
    def observed(_options: "CallbackOptions") -> "list[Observation]":
        from opentelemetry.metrics import Observation

        return [
            Observation(getattr(queue, value) or 0, {"messaging.destination.name": queue.name})
            for queue in stats.read().queues
        ]

    return observed


def of_gates(stats: "Recent", value: str) -> "Callable[[CallbackOptions], list[Observation]]":
    def observed(_options: "CallbackOptions") -> "list[Observation]":
        from opentelemetry.metrics import Observation

        return [Observation(getattr(gate, value) or 0, {"jobq.gate.name": gate.name}) for gate in stats.read().gates]

    return observed


def of_workers(stats: "Recent") -> "Callable[[CallbackOptions], list[Observation]]":
    def observed(_options: "CallbackOptions") -> "list[Observation]":
        from opentelemetry.metrics import Observation

        silent = [worker.is_silent for worker in stats.read().workers]
        return [
            Observation(silent.count(False), {"jobq.runtime.state": "alive"}),
            Observation(silent.count(True), {"jobq.runtime.state": "silent"}),
        ]

    return observed


class Recent:
    """The state of everything, read once for all gauges that are exported together, and without spans of its own."""

    def __init__(self, read: Callable[[], Stats]) -> None:
        self._read = read
        self._lock = Lock()
        self._stats: Stats | None = None
        self._at = 0.0

    def read(self) -> Stats:
        with self._lock:
            if self._stats is None or monotonic() - self._at > STATS_SECONDS:
                with quiet():
                    self._stats = self._read()
                self._at = monotonic()
            return self._stats


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, database statements leave no spans: a waiting worker asks all day long."""
    utils = sys.modules.get("opentelemetry.instrumentation.utils")
    if utils is None:
        yield
        return
    with utils.suppress_instrumentation():
        yield


# Processes


def is_automatic() -> bool:
    """Whether this process was started by `opentelemetry-instrument`."""
    return AUTO in sys.modules


def tells_for_children() -> bool:
    """Whether only this process reports metrics: Prometheus asks one process at one port, which no child can have."""
    exporters = os.environ.get(METRICS_EXPORTER, "").split(",")
    return is_automatic() and "prometheus" in [name.strip() for name in exporters]


def environment_of_children() -> dict[str, str]:
    """Children that `opentelemetry-instrument` sets up too report no metrics if this process reports them."""
    return {METRICS_EXPORTER: "none"} if tells_for_children() else {}


def count_attempts(counts: Iterable[Count]) -> None:
    """Reports attempts that ended in children. A duration is the middle of its bucket: at most a tenth off."""
    for count in counts:
        measured = common("process", "process") | {
            "messaging.destination.name": count.queue,
            "code.function.name": count.job_class,
            "jobq.job.outcome": count.outcome,
        }
        instruments().consumed.add(count.attempts, measured)
        for _ in range(count.attempts):
            if count.run_bucket is not None:
                instruments().process_duration.record(MIDDLES[count.run_bucket], measured)
            if count.wait_bucket is not None:
                instruments().time_in_queue.record(MIDDLES[count.wait_bucket], measured)


def set_up_like_parent() -> None:
    """In a child of a process that `opentelemetry-instrument` started: some of its releases reach only that process."""
    from importlib import import_module

    if not is_automatic():
        import_module(AUTO).initialize()


# Names


def common(name: str, kind: str) -> "dict[str, AttributeValue]":
    return {"messaging.system": "jobq", "messaging.operation.name": name, "messaging.operation.type": kind}


class Instruments:
    def __init__(self) -> None:
        from opentelemetry import metrics

        meter = metrics.get_meter(SCOPE)
        self.sent = meter.create_counter("messaging.client.sent.messages", "{message}", "Jobs enqueued.")
        self.consumed = meter.create_counter("messaging.client.consumed.messages", "{message}", "Attempts that ended.")
        self.operation_duration = meter.create_histogram(
            "messaging.client.operation.duration", "s", "How long it took to enqueue."
        )
        self.process_duration = meter.create_histogram("messaging.process.duration", "s", "How long attempts ran.")
        self.time_in_queue = meter.create_histogram(
            "jobq.job.time_in_queue", "s", "From when a job was due to when it was claimed."
        )


@cache
def instruments() -> Instruments:
    return Instruments()
