"""Edit and run again: a new job like an old one, with other arguments. The old one and its history stay as they are."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jobq import arguments as stored_arguments
from jobq import observe
from jobq.enqueueing import record_of
from jobq.errors import ArgumentsError, UnknownJobClass
from jobq.operate.acting import acting, who_acts
from jobq.records import ClassRecord, JobRecord, NewJob, ParameterRecord
from jobq.store import enqueueing
from jobq.store.database import Database


def run_again(
    database: Database, job_id: int, arguments: Mapping[str, Any], *, known: Iterable[ClassRecord] | None = None
) -> JobRecord | None:
    """Enqueues a job with the class, queue and options of an old one, and with these arguments in their stored form.

    They are checked against the class's parameters, according to live workers or to `known`. Returns the new job's
    record, or None if an unfinished job holds the unique key. Raises JobNotFound; UnknownJobClass if no live worker
    knows the class; ArgumentsError if the arguments do not fit.
    """
    old = observe.show(database, job_id).job
    job_class = class_of(old.job_class, observe.classes(database) if known is None else known)
    check(job_class, arguments)
    new = NewJob(
        job_class=job_class.stored_name,
        arguments=as_stored(arguments, database.settings.max_arguments_bytes),
        queue=old.queue,
        priority=old.priority,
        retries=old.retries,
        unique_key=old.unique_key,
        timeout=old.timeout,
        has_abort_hook=job_class.has_abort_hook,
        source=f"{who_acts()}, like job {old.id}",
    )
    with acting(database, "run again", selection=f"id:{old.id}") as act:
        record = record_of(new, enqueueing.enqueue(act.connection, database.schema, new))
        act.did([record.id] if record else [])
    return record


def class_of(name: str, known: Iterable[ClassRecord]) -> ClassRecord:
    for record in known:
        if name == record.name or name in record.aliases:
            return record
    raise UnknownJobClass(
        f"Neither a live worker nor this folder's application knows {name}. Arguments that cannot be checked are not "
        "enqueued. Start a worker, or run this where the application is."
    )


def check(job_class: ClassRecord, arguments: Mapping[str, Any]) -> None:
    """Whether the arguments fit the parameters by name. Raises ArgumentsError, which names the wrong ones."""
    parameters = {stored_name(parameter): parameter for parameter in job_class.parameters}
    signature = f"{job_class.name} takes ({', '.join(one.shown_as(name) for name, one in parameters.items())})"
    if strangers := sorted(arguments.keys() - parameters.keys()):
        raise ArgumentsError(f"There is no argument {', '.join(strangers)}: {signature}.")
    if missing := [name for name, one in parameters.items() if one.required and name not in arguments]:
        raise ArgumentsError(f"{', '.join(missing)} is missing: {signature}.")


def stored_name(parameter: ParameterRecord) -> str:
    return {"rest": "*", "named rest": "**"}.get(parameter.kind, "") + parameter.name


def as_stored(arguments: Mapping[str, Any], max_bytes: int) -> str:
    """The text for the database: tagged values are decoded and encoded again, so that a forged tag is refused here.

    Rows are not loaded: the console has no application, and one with asynchronous sessions loads rows in a loop.
    """
    if stored_arguments.MASK in json.dumps(arguments, ensure_ascii=False):
        raise ArgumentsError(f"{stored_arguments.MASK} stands for a secret that is not shown. Give the secret itself.")
    read = stored_arguments.decode(json.dumps(arguments), row=stored_arguments.RowReference.to)
    return stored_arguments.encode(read, max_bytes=max_bytes)
