"""Enqueueing without the application's code: a job of a class that some worker knows, checked as far as that goes."""

from collections.abc import Mapping
from typing import Any

from jobq import arguments as stored_arguments
from jobq import observe
from jobq.enqueueing import record_of
from jobq.operate.acting import acting, who_acts
from jobq.operate.editing import check, class_of
from jobq.options import MAX_PRIORITY, MAX_RETRIES, checked_int, checked_key, checked_queue, due
from jobq.records import JobRecord, NewJob, ParameterRecord
from jobq.store import jobs
from jobq.store.database import Database


def enqueue(
    database: Database,
    job_class: str,
    arguments: Mapping[str, Any],
    *,
    queue: str,
    delay: float | None = None,
    priority: int = 0,
    retries: int = 0,
    unique_key: str | None = None,
) -> JobRecord | None:
    """Enqueues a job of a class that a live worker knows; nothing of the application needs to be here.

    `arguments` are by the names that `stored_name` gives. What the class's own methods say of queue, priority, retries
    and key is known only where its code is, so they must be said. Returns None where an unfinished job holds the key.
    Raises UnknownJobClass, ArgumentsError, EnqueueError.
    """
    known = class_of(job_class, observe.classes(database))
    check(known, arguments)
    seconds, run_at = due(delay)
    new = NewJob(
        job_class=known.stored_name,
        arguments=stored_arguments.encode(arguments, max_bytes=database.settings.max_arguments_bytes),
        queue=checked_queue(queue),
        priority=checked_int("priority", priority, MAX_PRIORITY),
        retries=checked_int("retries", retries, MAX_RETRIES, least=0),
        unique_key=checked_key(unique_key),
        delay=seconds,
        run_at=run_at,
        source=who_acts(),
    )
    with acting(database, "enqueue") as act:
        record = record_of(new, jobs.enqueue(act.connection, database.schema, new))
        act.did([record.id] if record else [])
    return record


def argument_of(parameter: ParameterRecord, text: str) -> Any:
    """What was typed for a parameter, as its annotation says. Raises ArgumentsError."""
    wanted = {"rest": "list", "named rest": "dict"}.get(parameter.kind, parameter.annotation)
    return stored_arguments.from_annotation(wanted, text)
