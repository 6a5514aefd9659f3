"""What OpenTelemetry hears of jobs: with the SDK's own exporters, across real processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from jobq import telemetry

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

SDK = """
import atexit
import json
import os
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))


@atexit.register
def write():
    data = reader.get_metrics_data()
    with open(f"telemetry-{os.getpid()}.json", "w") as file:
        json.dump(
            {
                "program": os.path.basename(sys.argv[0]),
                "spans": [json.loads(span.to_json()) for span in spans.get_finished_spans()],
                "metrics": [] if data is None else json.loads(data.to_json())["resource_metrics"],
            },
            file,
        )
"""

JOBS = """
import telemetry_sdk

from opentelemetry import trace
from jobq import Job, register_job


@register_job
class First(Job):
    def run(self):
        Second().run_in_worker(queue="second")


@register_job
class Second(Job):
    async def run(self):
        with trace.get_tracer("shop").start_as_current_span("look up"):
            pass


@register_job
class Fails(Job):
    def __init__(self, password=None):
        self.password = password

    def run(self):
        raise ValueError(f"no good: {self.password and self.password.reveal()}")
"""


PLAIN = """
import sys

from jobq import Job, register_job


@register_job
class Plain(Job):
    def run(self):
        return sorted(name for name in sys.modules if name.startswith("opentelemetry"))
"""


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("telemetry_sdk.py", SDK)
    application.write("jobs.py", JOBS)
    return application


def exported(app: "Application") -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The spans by name, and the points of metrics by name, of all processes."""
    spans: dict[str, list[Any]] = {}
    points: dict[str, list[Any]] = {}
    for file in app.path.glob("telemetry-*.json"):
        content = json.loads(file.read_text())
        for span in content["spans"]:
            spans.setdefault(span["name"], []).append(span)
        for resource in content["metrics"]:
            for scope in resource["scope_metrics"]:
                for metric in scope["metrics"]:
                    points.setdefault(metric["name"], []).extend(metric["data"]["data_points"])
    return spans, points


def test_spans_of_three_processes_are_linked_from_the_enqueuer_to_the_last_job(
    app: "Application", store: "Store"
) -> None:
    app.python("from jobs import First; First().run_in_worker()")
    finished = app.jobq("run", "--drain", "-p", "1", "--max-jobs-per-process", "1")
    assert finished.returncode == 0, finished.stderr

    spans, points = exported(app)
    assert len(list(app.path.glob("telemetry-*.json"))) >= 3
    (send,), (process,) = spans["send default"], spans["process default"]
    (send_second,), (process_second,) = spans["send second"], spans["process second"]
    (own,) = spans["look up"]
    assert [context["span_id"] for context in links(process)] == [send["context"]["span_id"]]
    assert [context["trace_id"] for context in links(process)] == [send["context"]["trace_id"]]
    assert process["parent_id"] is None
    assert send_second["parent_id"] == process["context"]["span_id"]
    assert [context["span_id"] for context in links(process_second)] == [send_second["context"]["span_id"]]
    assert own["parent_id"] == process_second["context"]["span_id"]
    assert (send["kind"], process["kind"]) == ("SpanKind.PRODUCER", "SpanKind.CONSUMER")
    first = store.results()[0]
    expected = {
        "messaging.system": "jobq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": str(first.id),
        "code.function.name": "jobs.First",
        "jobq.job.attempt": 1,
        "jobq.job.outcome": "successful",
    }
    assert expected.items() <= process["attributes"].items()
    assert send["attributes"]["messaging.message.id"] == str(first.id)
    assert sum(point["value"] for point in points["messaging.client.sent.messages"]) == 2
    assert sum(point["value"] for point in points["messaging.client.consumed.messages"]) == 2
    for name in ("messaging.process.duration", "messaging.client.operation.duration", "jobq.job.time_in_queue"):
        assert sum(point["count"] for point in points[name]) == 2, name


def links(span: Any) -> list[Any]:
    return [link["context"] for link in span["links"]]


def test_every_attempt_that_fails_is_an_error_with_its_type_and_shows_no_secret(
    app: "Application", store: "Store"
) -> None:
    app.python("from jobs import Fails; from jobq import Secret; Fails(Secret('open-sesame')).run_in_worker(retries=1)")
    app.jobq("run", "--drain", "-p", "1")

    spans, points = exported(app)
    (send,) = spans["send default"]
    attempts = spans["process default"]
    assert sorted(span["attributes"]["jobq.job.attempt"] for span in attempts) == [1, 2]
    for span in attempts:
        assert span["status"]["status_code"] == "ERROR"
        assert span["attributes"]["error.type"] == "ValueError"
        assert [context["span_id"] for context in links(span)] == [send["context"]["span_id"]]
        (event,) = span["events"]
        assert event["attributes"]["exception.message"] == "no good: •••"
        assert "raise ValueError" in event["attributes"]["exception.stacktrace"]
    assert {point["attributes"]["error.type"] for point in points["messaging.process.duration"]} == {"ValueError"}
    assert "open-sesame" not in json.dumps([spans, points])


def test_what_rolls_back_was_not_sent(app: "Application", store: "Store") -> None:
    app.python(
        """
from jobs import First
from jobq.store.database import default_database
import sqlalchemy as sa
from psycopg import connect

engine = sa.create_engine("postgresql+psycopg://", creator=lambda: connect(default_database().url))
for end in ("commit", "rollback"):
    with engine.connect() as connection:
        First().run_in_worker(connection=connection)
        getattr(connection, end)()
        First().run_in_worker(connection=connection)
        First().run_in_worker(connection=connection)
        getattr(connection, end)()
"""
    )
    spans, points = exported(app)
    assert len(spans["send default"]) == 6
    assert sum(point["value"] for point in points["messaging.client.sent.messages"]) == 3


def test_without_an_sdk_nothing_is_stored_and_nothing_loaded(app: "Application", store: "Store") -> None:
    assert not telemetry.is_on()
    app.write("jobs.py", PLAIN)
    app.python("from jobs import Plain; Plain().run_in_worker()")
    app.jobq("run", "--drain", "-p", "1")
    (result,) = store.results()
    assert (result.value, result.trace_context) == ([], None)


def test_a_worker_under_opentelemetry_instrument_exports_gauges_and_its_idle_hours_no_spans(
    application: "Application", store: "Store", database_url: str, eventually: Eventually
) -> None:
    application.write("jobs.py", PLAIN)
    for delay in (0, 3600):
        store.add(job_class="jobs.Unknown", queue="slow", delay=delay)
    environment = {
        "OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRIC_EXPORT_INTERVAL": "300", "JOBQ_HEARTBEAT_EVERY": "0.1", "JOBQ_HEARTBEAT_TIMEOUT": "5",
        "JOBQ_POLL_EVERY": "0.1",
    }  # fmt: skip
    exports = application.path / "exported.txt"
    with instrumented(application, environment) as run:
        eventually(lambda: '"jobq.workers"' in exports.read_text())
        eventually(lambda: heartbeats(store) > 5)
        assert '"parent_id"' not in exports.read_text()
        job = store.add(job_class="jobs.Plain")
        eventually(lambda: store.results(job))
        run.terminate()
        assert run.wait(30) == 0
    out = exports.read_text()
    assert '"name": "process default"' in out
    for name in ("jobq.queue.depth", "jobq.queue.scheduled", "jobq.queue.running", "jobq.queue.oldest_age"):
        assert f'"name": "{name}"' in out
    assert '"jobq.runtime.state": "silent"' in out


def heartbeats(store: "Store") -> float:
    """How many of them there must have been, by the age of the worker."""
    rows = store.rows("SELECT extract(epoch FROM heartbeat_at - started_at)::float8 AS age FROM jobq.workers")
    return (rows[0].age if rows else 0) / 0.1


@contextmanager
def instrumented(
    app: "Application", environment: dict[str, str], *arguments: str
) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker under `opentelemetry-instrument`; what it exports is in the application's folder, in exported.txt."""
    programs = Path(sys.executable).parent
    with (app.path / "exported.txt").open("wb") as stdout, (app.path / "log.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [programs / "opentelemetry-instrument", programs / "jobq", "run", "-p", "1", *arguments],
            cwd=app.path,
            env={**os.environ, **environment},
            stdout=stdout,
            stderr=stderr,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_prometheus_is_told_by_the_worker_alone_for_all_its_processes(app: "Application", store: "Store") -> None:
    """Each child would start a server at the same port, and fail. The port is 0 here: any, in the one that has one."""
    app.write(
        "jobs.py",
        """
        import os
        import psutil
        from jobq import Job, register_job

        @register_job
        class Look(Job):
            def run(self):
                listening = [one for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"]
                return [os.environ["OTEL_METRICS_EXPORTER"], len(listening)]
        """,
    )
    store.add(job_class="jobs.Look")
    environment = {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    with instrumented(app, environment, "--drain") as run:
        assert run.wait(100) == 0
    (result,) = store.results()
    assert (result.outcome, result.value) == ("successful", ["none", 0])
    assert "Configuration of configurator failed" not in (app.path / "log.txt").read_text()


def test_attempts_that_the_worker_tells_of_have_their_counts_and_times(application: "Application") -> None:
    program = """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        from jobq import telemetry
        from jobq.histograms import bucket
        from jobq.records import Count
        telemetry.count_attempts([Count(None, "mail", "shop.Send", "successful", False, bucket(0.5), bucket(2.0), 3)])
        told = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        points = {metric.name: metric.data.data_points[0] for metric in told}
        print(points["messaging.client.consumed.messages"].value, points["messaging.process.duration"].count)
        print(abs(points["messaging.process.duration"].sum - 6) < 0.6, points["jobq.job.time_in_queue"].count)
    """
    said = application.python(dedent(program))
    assert said.stdout.split() == ["3", "3", "True", "3"]
