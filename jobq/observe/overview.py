"""The state of everything: queues, workers, the classes they know, and the counts that a screen shows."""

from collections.abc import Sequence
from typing import Any

from jobq.observe.gates import gate_stats
from jobq.observe.reading import dicts, now, reading, tuples
from jobq.records import WAITING_LIMIT, ClassRecord, QueueStats, Stats, UnknownClass, WorkerRecord
from jobq.states import Outcome
from jobq.store import jobs
from jobq.store.database import Connection, Database
from jobq.store.statements import quote_identifier
from jobq.store.workers import known_classes

COUNT_LIMIT = 10_000
"""Unfinished jobs are counted exactly up to this number for each queue. Beyond it, PostgreSQL's statistics are used."""

OUTCOME_LIMIT = 20_000
"""Attempts in the history are counted exactly up to this number."""

FRONT_LIMIT = 1000
"""Number of jobs at the front of each queue that are searched for unknown classes."""


def stats(database: Database, *, count_limit: int = COUNT_LIMIT, outcome_limit: int = OUTCOME_LIMIT) -> Stats:
    """The state of everything now, counted up to the limits. Frequent looks use lower limits."""
    with reading(database) as connection:
        schema = database.schema
        queues = queue_stats(connection, schema, count_limit)
        estimated: set[str] = set()
        outcomes, finished = outcome_counts(connection, schema, estimated, count_limit, outcome_limit)
        alive = worker_records(connection, database)
        gates = gate_stats(connection, schema)
        gated = sum(gate.waiting for gate in gates)
        if any(gate.waiting >= WAITING_LIMIT for gate in gates):
            estimated.add("gated")
        pending, scheduled = sum(queue.pending for queue in queues), sum(queue.scheduled for queue in queues)
        if any(queue.pending >= count_limit for queue in queues) or scheduled >= count_limit:
            figures = estimates(connection, schema)
            if any(queue.pending >= count_limit for queue in queues):
                pending = max(pending, figures["pending"])
                estimated.add("pending")
            if scheduled >= count_limit:
                scheduled = max(scheduled, figures["scheduled"])
                estimated.add("scheduled")
        return Stats(
            scheduled=scheduled,
            pending=pending,
            running=sum(queue.running for queue in queues),
            outcomes=outcomes,
            queues=queues,
            workers=alive,
            unknown_classes=unknown_records(connection, schema) if alive else (),
            estimated=tuple(sorted(estimated)),
            at=now(connection),
            finished=finished,
            gates=gates,
            gated=gated,
        )


def queues(database: Database) -> tuple[QueueStats, ...]:
    """Every queue that has jobs, or settings of an operator."""
    with reading(database) as connection:
        return queue_stats(connection, database.schema)


def wanted_processes(database: Database, names: Sequence[str]) -> dict[str, int]:
    """For each of these queues, the number of processes that would empty it within ten minutes."""
    with reading(database) as connection:
        return dict(tuples(connection, "wanted_processes", database.schema, {"queues": list(names)}))


def workers(database: Database) -> tuple[WorkerRecord, ...]:
    """The workers that are not known to have ended."""
    with reading(database) as connection:
        return worker_records(connection, database)


def classes(database: Database) -> tuple[ClassRecord, ...]:
    """The job classes that live workers know, by name. If versions differ, the youngest worker's counts."""
    with reading(database) as connection:
        return known_classes(connection, database.schema)


def unknown_classes(database: Database) -> tuple[UnknownClass, ...]:
    """Classes of pending jobs that no live worker knows. Empty without live workers, since then all jobs wait alike."""
    with reading(database) as connection:
        return unknown_records(connection, database.schema) if worker_records(connection, database) else ()


def queue_stats(connection: Connection, schema: str, limit: int = COUNT_LIMIT) -> tuple[QueueStats, ...]:
    rows = dicts(connection, "observe_stats", schema, {"limit": limit})
    return tuple(QueueStats(**row) for row in rows)


def outcome_counts(
    connection: Connection, schema: str, estimated: set[str], count_limit: int, outcome_limit: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Attempts by outcome, and jobs by the outcome of their last attempt. If there are too many results to count, only
    the unsuccessful ones are counted."""
    attempts = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    finished = dict(attempts)

    def count(name: str, **parameters: Any) -> None:
        for outcome, tried, ended in tuples(connection, name, schema, parameters):
            attempts[outcome], finished[outcome] = tried, ended

    total = estimates(connection, schema)["results"]
    if total < outcome_limit:  # according to its last ANALYZE
        count("observe_outcomes", limit=outcome_limit)
        if sum(attempts.values()) < outcome_limit:
            return attempts, finished
    limit = min(count_limit, outcome_limit)
    unsuccessful = [outcome.value for outcome in Outcome if outcome is not Outcome.SUCCESSFUL]
    count("observe_unsuccessful", outcomes=unsuccessful, limit=limit)
    total = max(total, outcome_limit)
    successful = total - sum(attempts[outcome] for outcome in unsuccessful)
    attempts[Outcome.SUCCESSFUL] = finished[Outcome.SUCCESSFUL] = successful
    estimated.update(outcome for outcome in unsuccessful if attempts[outcome] >= limit)
    estimated.add(Outcome.SUCCESSFUL.value)
    return attempts, finished


def estimates(connection: Connection, schema: str) -> dict[str, int]:
    quoted = quote_identifier(schema)
    names = {
        "due_index": f"{quoted}.jobs_due",
        "scheduled_index": f"{quoted}.jobs_scheduled",
        "results": f"{quoted}.results",
    }
    (row,) = dicts(connection, "observe_estimates", schema, names)
    return row


def worker_records(connection: Connection, database: Database) -> tuple[WorkerRecord, ...]:
    rows = dicts(connection, "observe_workers", database.schema, {})
    return tuple(
        WorkerRecord(
            is_silent=row["heartbeat_seconds"] > database.settings.silent_after,
            **{**row, "queues": tuple(row["queues"])},
        )
        for row in rows
    )


def unknown_records(connection: Connection, schema: str) -> tuple[UnknownClass, ...]:
    found = jobs.unknown_classes(connection, schema, limit=FRONT_LIMIT)
    return tuple(UnknownClass(name, jobs, tuple(queues), tuple(counts)) for name, jobs, queues, counts in found)
