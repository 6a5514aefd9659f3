"""What needs somebody: read from a snapshot, the worst first. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobq.commands import term
from jobq.observe import FRONT_LIMIT
from jobq.records import QueueStats, WorkerRecord

from . import formats
from .samples import Samples
from .source import COUNT_LIMIT, Snapshot

SILENT_SECONDS = 30.0
OLD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the console something is to be seen: a screen, the list on it, and a filter."""

    screen: str
    view: str = ""
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    kind: str  # a glyph's name
    is_bad: bool
    text: str
    place: Place
    key: str  # the same trouble in the next snapshot


def troubles(snapshot: Snapshot, samples: Samples) -> tuple[Trouble, ...]:
    return (
        *no_worker(snapshot),
        *failures(snapshot),
        *silent_workers(snapshot),
        *unworked_queues(snapshot),
        *growing_queues(snapshot, samples),
        *paused_queues(snapshot),
        *unknown_classes(snapshot),
    )


def no_worker(snapshot: Snapshot) -> Iterator[Trouble]:
    waiting = snapshot.stats.pending
    if not snapshot.stats.workers and waiting:
        text = f"no worker runs, {formats.plural(waiting, 'job')} wait{'s' if waiting == 1 else ''}: jobq run"
        yield Trouble("trouble", True, text, Place("workers"), "no worker")


def failures(snapshot: Snapshot) -> Iterator[Trouble]:
    """What failed in the period and is at rest now, in groups, the largest first; none that somebody has muted."""
    for group in snapshot.groups:
        if not group.at_rest or group.muted_until is not None:
            continue
        seen = (
            f"new {formats.since(group.first_at, snapshot.at)} ago"
            if group.is_new
            else f"last {formats.since(group.last_at, snapshot.at)} ago"
        )
        what = f"{formats.count(group.at_rest)} × {group.error_type or 'failed'}"
        text = f"{formats.class_name(group.job_class)}: {what}, {seen}"
        yield Trouble("trouble", True, text, Place("failures", filter=group.group), f"failures {group.group}")


def silent_workers(snapshot: Snapshot) -> Iterator[Trouble]:
    for worker in snapshot.stats.workers:
        if worker.heartbeat_seconds > SILENT_SECONDS:
            holds = f", holds {formats.plural(worker.running, 'job')}" if worker.running else ""
            text = f"worker {worker.name} silent for {formats.duration(worker.heartbeat_seconds)}{holds}"
            yield Trouble("silent", True, text, Place("workers", filter=worker.name), f"silent {worker.id}")


def unworked_queues(snapshot: Snapshot) -> Iterator[Trouble]:
    for queue in snapshot.stats.queues:
        if queue.pending and snapshot.stats.workers and not workers_of(queue, snapshot):
            text = f"no worker works the queue {queue.name}: {counted_jobs(queue.pending, COUNT_LIMIT)} there"
            yield Trouble("trouble", True, text, Place("queues", filter=queue.name), f"unworked {queue.name}")


def growing_queues(snapshot: Snapshot, samples: Samples) -> Iterator[Trouble]:
    for queue in snapshot.stats.queues:
        growth = samples.growth_per_minute(queue.name)
        is_old = queue.oldest_seconds is not None and queue.oldest_seconds > OLD_SECONDS
        if is_old and growth is not None and growth > 0 and not queue.paused and workers_of(queue, snapshot):
            text = f"{queue.name} grows by {formats.rate(growth)} a minute, oldest {formats.age(queue.oldest_seconds)}"
            yield Trouble("trouble", False, text, Place("queues", filter=queue.name), f"grows {queue.name}")


def paused_queues(snapshot: Snapshot) -> Iterator[Trouble]:
    for queue in snapshot.stats.queues:
        if queue.paused:
            since = f" {formats.since(queue.paused_at, snapshot.at)}" if queue.paused_at is not None else ""
            by = f" by {queue.paused_by}" if queue.paused_by else ""
            waiting = f"{counted_jobs(queue.pending, COUNT_LIMIT)} wait{'s' if queue.pending == 1 else ''}"
            text = f"{queue.name} paused{since}{by}, {waiting}"
            yield Trouble("paused", False, text, Place("queues", filter=queue.name), f"paused {queue.name}")


def unknown_classes(snapshot: Snapshot) -> Iterator[Trouble]:
    for unknown in snapshot.stats.unknown_classes:
        text = f"{counted_jobs(unknown.jobs, FRONT_LIMIT)} of {unknown.job_class}: no worker knows it"
        place = Place("jobs", "pending", term("class", unknown.job_class))
        yield Trouble("unknown", False, text, place, f"unknown {unknown.job_class}")


def counted_jobs(number: int, limit: int) -> str:
    return f"{formats.at_least(number, limit)} {'job' if number == 1 else 'jobs'}"


def workers_of(queue: QueueStats, snapshot: Snapshot | None) -> list[WorkerRecord]:
    workers = snapshot.stats.workers if snapshot is not None else ()
    return [worker for worker in workers if not worker.queues or queue.name in worker.queues]
