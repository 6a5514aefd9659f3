"""Enqueues for an operator: a job as its application planned it, or one of a class that a worker knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobq import arguments as stored_arguments
from jobq import observe
from jobq.class_options import CHECKS
from jobq.enqueueing import record_of
from jobq.errors import ArgumentsError, EnqueueError
from jobq.operate.acting import acting, who_acts
from jobq.operate.editing import check, class_of
from jobq.options import checked_key_rules, due
from jobq.records import ClassRecord, JobRecord, KeyRules, NewJob, ParameterRecord
from jobq.store import enqueueing
from jobq.store.database import Database


def enqueue(database: Database, job_class: str, arguments: Mapping[str, Any], **options: Any) -> JobRecord | None:
    """Enqueues a job of a class that a live worker knows. The application need not be here.

    `arguments` are by the names that `stored_name` gives. `options` are delay, queue, priority, retries, timeout and
    unique_key, "" for none. For an option that is left out, the workers' report on the class counts. Returns None if an
    unfinished job holds the key. Raises UnknownJobClass, ArgumentsError, EnqueueError: the last also if an option is
    left out that the class's code computes.
    """
    known, max_bytes = class_of(job_class, observe.classes(database)), database.settings.max_arguments_bytes
    return add(database, plan_without_code(known, arguments, max_bytes=max_bytes, **options))


def plan_without_code(
    job_class: ClassRecord,
    arguments: Mapping[str, Any],
    *,
    max_bytes: int,
    delay: float | None = None,
    **options: Any,
) -> NewJob:
    """A job according to the workers' report on its class. Raises ArgumentsError, EnqueueError."""
    check(job_class, arguments)
    given = {name: CHECKS[name](value) for name, value in options.items() if value is not None}
    if computed := [name for name in unknown_options(job_class) if name not in given]:
        raise EnqueueError(f"{job_class.name}: {why_unknown(computed)}.")
    seconds, run_at = due(delay)
    chosen = {name: CHECKS[name](value) for name, value in {**job_class.options, **given}.items() if name in CHECKS}
    return NewJob(
        job_class=job_class.stored_name,
        arguments=stored_arguments.encode(arguments, max_bytes=max_bytes),
        delay=seconds,
        run_at=run_at,
        has_abort_hook=job_class.has_abort_hook,
        key_rules=rules_of(job_class) if chosen["unique_key"] is not None else None,
        **chosen,
    )


def rules_of(job_class: ClassRecord) -> KeyRules | None:
    """Raises EnqueueError if a worker's row has a value that no worker would write."""
    told = job_class.key_rules
    if told is None:
        return None
    if not isinstance(told, dict) or set(told) != set(KeyRules._fields):
        raise EnqueueError(f"{job_class.name}: its workers' report on its unique key cannot be read.")
    return checked_key_rules(**told)


def unknown_options(job_class: ClassRecord) -> list[str]:
    """The options that the class's code computes, or that its workers do not report."""
    return [name for name in CHECKS if name not in job_class.options]


def why_unknown(options: Sequence[str]) -> str:
    named = " and ".join(f"the {name.replace('_', ' ')}" for name in options)
    none = "; '' means no key" if "unique_key" in options else ""
    return f"the application's code computes {named}, but the code is not available here: give each a value{none}"


def add(database: Database, new: NewJob, *, like: int | None = None) -> JobRecord | None:
    """Enqueues a planned job, as an act. `like` is the old job from which it was made."""
    new = new._replace(source=who_acts() if like is None else f"{who_acts()}, like job {like}")
    one = acting(database, "enqueue") if like is None else acting(database, "run again", selection=f"id:{like}")
    with one as act:
        record = record_of(new, enqueueing.enqueue(act.connection, database.schema, new))
        act.did([record.id] if record else [])
    return record


def argument_of(parameter: ParameterRecord, text: str) -> Any:
    """The typed value of a parameter, read according to its annotation. Raises ArgumentsError."""
    if stored_arguments.MASK in text:
        raise ArgumentsError(f"{stored_arguments.MASK} stands for a secret that is not shown: type the secret itself")
    wanted = {"rest": "list", "named rest": "dict"}.get(parameter.kind, parameter.annotation)
    return stored_arguments.from_annotation(wanted, text)
