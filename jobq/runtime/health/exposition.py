"""/metrics: figures of this worker and of the database as Prometheus reads them, by prometheus-client.

The metrics are made at each scrape: none is kept in this process, and children report none. So a worker is one target,
however many processes it has.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

import jobq
from jobq.records import GateStats, QueueStats
from jobq.runtime.health.condition import Condition
from jobq.runtime.health.database_figures import DatabaseFigures
from jobq.runtime.health.figures import OTHER, Figures

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

MAX_QUEUES = 100
"""Maximum number of queues with figures of their own: the largest ones. The others are counted together."""

MAX_GATES = 100
"""Gates with figures of their own: code declares few."""

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The folder of the application's own metrics, from all its processes, if prometheus-client writes them to files."""

SAME_SECONDS = 1.0
"""Seconds for which all scrapers get the same text: making it costs some milliseconds."""

INSTALL = "/metrics needs the package prometheus-client: pip install 'jobq[prometheus]'\n"


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """The worker's current state."""

    name: str
    processes: int
    ready: int  # children that have loaded the application
    running: int


class Exposition:
    def __init__(
        self, figures: Figures, database: DatabaseFigures, condition: Condition, facts: Callable[[], WorkerFacts]
    ) -> None:
        self._figures = figures
        self._database = database
        self._condition = condition
        self._facts = facts
        self._text = ""
        self._made_at = -SAME_SECONDS

    def text(self) -> str:
        """Raises ImportError where prometheus-client is not installed."""
        if monotonic() - self._made_at >= SAME_SECONDS:
            self._text = self._made()
            self._made_at = monotonic()
        return self._text

    def _made(self) -> str:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        if os.environ.get(MULTIPROCESS):
            self._register_application(registry)
        return generate_latest(registry).decode()

    def _register_application(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import multiprocess

        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]

    def collect(self) -> "Iterator[Metric]":
        yield from self._of_worker()
        yield from self._of_attempts()
        yield from self._of_database()

    def _of_worker(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        facts, condition = self._facts(), self._condition
        info = {"version": jobq.__version__, "worker": facts.name}
        yield InfoMetricFamily("jobq_worker", "This worker.", info)
        for name, text, value in (
            ("ready", "1 where work can be expected of this worker.", condition.why_not_ready() is None),
            ("turn_age_seconds", "Since its main loop last turned.", condition.turns.seconds_since_last),
            ("processes", "Child processes it is to have.", facts.processes),
            ("processes_ready", "Child processes that have loaded the application.", facts.ready),
            ("jobs_held", "Jobs it has claimed and not recorded the end of.", facts.running),
        ):
            yield GaugeMetricFamily(f"jobq_worker_{name}", text, float(value))

    def _of_attempts(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        pair = ["queue", "job_class"]
        attempts = CounterMetricFamily(
            "jobq_attempts", "Attempts whose end this worker recorded.", labels=[*pair, "outcome", "retried"]
        )
        runs = HistogramMetricFamily("jobq_attempt_duration_seconds", "How long attempts ran.", labels=pair)
        waits = HistogramMetricFamily(
            "jobq_attempt_wait_seconds", "From when a job was due to when it was claimed.", labels=pair
        )
        for key, figures in sorted(self._figures.snapshot().items()):
            for (outcome, retried), count in sorted(figures.outcomes.items()):
                attempts.add_metric([*key, outcome, "true" if retried else "false"], count)
            runs.add_metric(list(key), figures.runs.cumulated(), figures.runs.seconds)
            waits.add_metric(list(key), figures.waits.cumulated(), figures.waits.seconds)
        yield from (attempts, runs, waits)

    def _of_database(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        seen = self._database.latest()
        if self._database.is_up is not None:
            text = "1 where the last look at the database had an answer."
            yield GaugeMetricFamily("jobq_database_up", text, float(self._database.is_up))
        if seen is None:
            return
        age = monotonic() - self._database.seen_at
        yield GaugeMetricFamily("jobq_database_age_seconds", "How old the database's figures are.", age)
        labels = ["scope", "queue"]
        queues = bounded(seen.queues)
        for name, text, value in QUEUE_GAUGES:
            gauge = GaugeMetricFamily(f"jobq_queue_{name}", text, labels=labels)
            for queue in queues:
                gauge.add_metric(["database", queue.name], float(value(queue)))
            yield gauge
        wanted = GaugeMetricFamily(
            "jobq_wanted_processes", "Processes that end what a queue holds within ten minutes.", labels=labels
        )
        for name, count in sorted(seen.wanted.items()):
            wanted.add_metric(["database", name], count)
        yield wanted
        for name, text, of_gate in GATE_GAUGES if seen.gates else ():
            gauge = GaugeMetricFamily(f"jobq_gate_{name}", text, labels=["scope", "gate"])
            for gate in seen.gates[:MAX_GATES]:
                gauge.add_metric(["database", gate.name], float(of_gate(gate)))
            yield gauge
        workers = GaugeMetricFamily("jobq_workers", "Workers that have not signed off.", labels=["scope", "state"])
        silent = sum(worker.is_silent for worker in seen.workers)
        workers.add_metric(["database", "alive"], len(seen.workers) - silent)
        workers.add_metric(["database", "silent"], silent)
        yield workers


QUEUE_GAUGES: tuple[tuple[str, str, Callable[[QueueStats], float]], ...] = (
    ("depth", "Jobs that are pending; counted up to a limit.", lambda queue: queue.pending),
    ("scheduled", "Jobs whose time has not come; counted up to a limit.", lambda queue: queue.scheduled),
    ("running", "Jobs that are claimed.", lambda queue: queue.running),
    ("oldest_age_seconds", "How long the oldest pending job has been due.", lambda queue: queue.oldest_seconds or 0.0),
    ("paused", "1 where an operator has paused it.", lambda queue: queue.paused),
)


GATE_GAUGES: tuple[tuple[str, str, Callable[[GateStats], float]], ...] = (
    ("running", "Jobs that run through the gate.", lambda gate: gate.running),
    (
        "limit",
        "How many may run at once; +Inf without a limit.",
        lambda gate: inf if gate.limit is None else gate.limit,
    ),
    ("waiting", "Jobs that wait at the gate; counted up to a limit.", lambda gate: gate.waiting),
    (
        "oldest_age_seconds",
        "How long the oldest job at the gate has been due.",
        lambda gate: gate.oldest_seconds or 0.0,
    ),
    ("paused", "1 where an operator has paused it.", lambda gate: gate.paused_at is not None),
)


def bounded(queues: Iterable[QueueStats]) -> list[QueueStats]:
    """The largest queues by name, and the rest as one."""
    ranked = sorted(queues, key=lambda queue: (-(queue.pending + queue.running + queue.scheduled), queue.name))
    kept, rest = ranked[:MAX_QUEUES], ranked[MAX_QUEUES:]
    if rest:
        kept.append(
            QueueStats(
                name=OTHER,
                pending=sum(queue.pending for queue in rest),
                running=sum(queue.running for queue in rest),
                scheduled=sum(queue.scheduled for queue in rest),
                oldest_seconds=max(queue.oldest_seconds or 0.0 for queue in rest),
                paused=False,
            )
        )
    return sorted(kept, key=lambda queue: queue.name)
