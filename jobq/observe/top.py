"""What the fleet does at this moment: what runs, with the memory and CPUs of its process; queues and workers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobq.observe.jobs import longest
from jobq.observe.overview import stats
from jobq.records import JobRecord, QueueStats, WorkerRecord
from jobq.store.database import Database


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process of a running job used at the last heartbeat of its worker."""

    memory_bytes: int | None
    cpus: float | None  # that it kept busy since the heartbeat before; None: not known yet
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class Top:
    """Counts are exact up to 10,000 jobs of a queue."""

    at: datetime
    running: tuple[tuple[JobRecord, Usage | None], ...]  # the longest first
    running_in_all: int
    pending: int
    queues: tuple[QueueStats, ...]
    workers: tuple[WorkerRecord, ...]


def top(database: Database, *, limit: int = 20) -> Top:
    """A screen's worth of what runs now."""
    seen, running = stats(database), longest(database, limit=limit)
    return Top(
        at=seen.at,
        running=tuple((job, usage_of(job.id, seen.workers)) for job in running),
        running_in_all=seen.running,
        pending=seen.pending,
        queues=seen.queues,
        workers=seen.workers,
    )


def usage_of(job_id: int, workers: Iterable[WorkerRecord]) -> Usage | None:
    """Of a running job, as its worker told it. None: it has told nothing of this job, or the job shares its process."""
    for worker in workers:
        children = worker.status.get("children")
        for child in children if isinstance(children, list) else ():
            match child:
                case {"job": told, "memory_kilobytes": int() | None as memory, "cpus": int() | float() | None as cpus}:
                    if told == job_id:
                        return Usage(None if memory is None else memory * 1024, cpus, worker.heartbeat_seconds)
    return None
