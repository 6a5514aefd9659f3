"""Changes to rows of `workers`: which are alive, which have gone silent, and the rescue of their jobs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobq.records import ClassRecord, Count
from jobq.store import metrics
from jobq.store.database import Connection
from jobq.store.statements import channel, control_channel, gate_channel, quote_identifier, statement, worker_channel


@dataclass(frozen=True, slots=True)
class SilentWorker:
    id: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Silenced:
    """The result of declaring workers dead: those that were, and the ids of those whose rows are locked."""

    silenced: list[SilentWorker]
    locked: list[int]


@dataclass(frozen=True, slots=True)
class Rescued:
    id: int
    attempt: int
    retried: bool  # False: it was lost too often, and rests
    is_owed_hook: bool  # a call of on_aborted() is owed for it
    outcome: str
    job_class: str
    queue: str
    retries: int
    excused: int  # attempts before this one that did not count
    error: str
    delay: float  # seconds until it may run again


def register(
    connection: Connection,
    schema: str,
    *,
    host: str,
    pid: int,
    version: str,
    processes: int,
    queues: Sequence[str],
    classes: Sequence[ClassRecord],
    build: str | None = None,
) -> int:
    """Adds a worker and returns its id. A worker that was declared dead registers anew, under another id."""
    with connection.transaction():
        connection.execute(statement("lock_worker_name", schema), {"name": f"jobq worker {schema} {host}/{pid}"})
        row = connection.execute(
            statement("register_worker", schema),
            {
                "host": host,
                "pid": pid,
                "version": version,
                "processes": processes,
                "queues": list(queues),
                "build": build,
                **told_of(classes),
            },
        ).fetchone()
        assert row is not None
        worker_id: int = row[0]
        if build is not None:
            connection.execute(statement("lock_worker_name", schema), {"name": f"jobq deploys {schema}"})
            connection.execute(statement("note_deploy", schema), {"build": build, "worker_id": worker_id})
    return worker_id


def learn_classes(connection: Connection, schema: str, *, worker_id: int, classes: Sequence[ClassRecord]) -> None:
    connection.execute(statement("learn_classes", schema), {"worker_id": worker_id, **told_of(classes)})


def known_classes(connection: Connection, schema: str) -> tuple[ClassRecord, ...]:
    """The job classes that live workers know, by name; of several versions, that of the youngest worker."""
    known: dict[str, ClassRecord] = {}
    for (entry,) in connection.execute(statement("observe_classes", schema), {}).fetchall():
        known.setdefault(entry["name"], ClassRecord.from_json(entry))
    return tuple(known[name] for name in sorted(known))


def stored_name(connection: Connection, schema: str, name: str) -> str:
    """The name under which jobs of a class are stored, according to the last report of workers; else the name
    itself."""
    row = connection.execute(statement("stored_name", schema), {"name": name}).fetchone()
    return row[0] if row and row[0] else name


@dataclass(frozen=True, slots=True)
class Pulse:
    """The answer to a worker's heartbeat."""

    stop_requested_by: str | None  # the operator who wants it to stop


def heartbeat(connection: Connection, schema: str, *, worker_id: int, status: Mapping[str, Any]) -> Pulse | None:
    """Writes a heartbeat. None: the worker was declared dead, and owns nothing any more."""
    row = connection.execute(
        statement("heartbeat", schema), {"worker_id": worker_id, "status": json.dumps(status)}
    ).fetchone()
    return Pulse(*row) if row else None


def request_stop(connection: Connection, schema: str, ids: Sequence[int], *, requested_by: str) -> list[int]:
    """Asks live workers to stop; returns those that had not been asked before."""
    parameters = {"ids": list(ids), "requested_by": requested_by, "channel": control_channel(schema)}
    return [row[0] for row in connection.execute(statement("request_stop", schema), parameters).fetchall()]


def listening(schema: str, worker_id: int) -> list[bytes]:
    """The statements that make a connection receive notifications for this worker, or for all."""
    names = (channel(schema), gate_channel(schema), control_channel(schema), f"{worker_channel(schema)}{worker_id}")
    return [f"LISTEN {quote_identifier(name)}".encode() for name in names]


def stop(connection: Connection, schema: str, *, worker_id: int) -> None:
    connection.execute(statement("stop_worker", schema), {"worker_id": worker_id})
    forget_claims(connection, schema)


def forget_claims(connection: Connection, schema: str) -> None:
    """Removes the claims of workers that are gone and hold none of their jobs any more."""
    connection.execute(statement("forget_claims", schema), {})


def note_claims(connection: Connection, schema: str) -> dict[int, int]:
    """Notes claims of running jobs that have none; returns their number for each worker. Reads the whole table."""
    return dict(connection.execute(statement("note_claims", schema), {}).fetchall())


def declare_dead(connection: Connection, schema: str, ids: Sequence[int], *, silent: float) -> list[int]:
    """Declares these workers dead if they have been silent for `silent` seconds; returns those."""
    rows = connection.execute(statement("declare_dead", schema), {"ids": list(ids), "silent": silent})
    return [row[0] for row in rows.fetchall()]


def silence(connection: Connection, schema: str, beats: Mapping[int, float], *, timeout: float) -> Silenced:
    """Declares workers dead whose last heartbeats are still these, and older than `timeout` seconds. A worker whose row
    is locked is left alone: it cannot report.

    The caller has seen the heartbeats stand still for as long: the database's clock alone is not proof, since it may
    jump.
    """
    rows = connection.execute(
        statement("silence_workers", schema),
        {"ids": list(beats), "beats": list(beats.values()), "timeout": timeout},
    ).fetchall()
    return Silenced([SilentWorker(*row[:3]) for row in rows if not row[3]], [row[0] for row in rows if row[3]])


def rescue(
    connection: Connection, schema: str, *, max_losses: int, spread: float = 0.0, limit: int = 1000
) -> list[Rescued]:
    """Takes up to `limit` running jobs from workers that are gone. Those lost before wait up to `spread` seconds.

    Their run time is unknown: they count with the time that they waited.
    """
    with connection.transaction():
        rows = connection.execute(
            statement("rescue", schema),
            {
                "max_losses": max_losses,
                "spread": spread,
                "limit": limit,
                "channel": channel(schema),
            },
        ).fetchall()
        rescued = [Rescued(*row[:11]) for row in rows]
        if rows:
            counts = [
                Count(minute, job.queue, job.job_class, job.outcome, job.retried, wait_bucket, None, 1, waited)
                for job, (minute, wait_bucket, waited, *_) in zip(rescued, [row[11:] for row in rows], strict=True)
            ]
            metrics.add(connection, schema, metrics.figures_of(counts))
    return rescued


def told_of(classes: Sequence[ClassRecord]) -> dict[str, Any]:
    """A worker's report on the classes that it knows."""
    return {
        "classes": json.dumps([asdict(record) for record in classes]),
        "class_names": [name for record in classes for name in record.names],
    }
