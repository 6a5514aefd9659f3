"""Turns instances of `Job` into rows: on a connection of the caller's or of jobq's own, one or many."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from jobq import arguments, references, stand_ins, telemetry  # noqa: F401 - rows are arguments by its being imported
from jobq.errors import ArgumentsError, EnqueueError, UnknownJobClass
from jobq.frames import is_jobqs, is_librarys
from jobq.names import check_name, may_be_unknown, name_of
from jobq.on_demand import OnDemand
from jobq.options import (
    MAX_PRIORITY,
    MAX_RETRIES,
    checked_expiry,
    checked_int,
    checked_key,
    checked_queue,
    checked_timeout,
    due,
    shortened,
)
from jobq.records import JobRecord, NewJob, NewJobs
from jobq.registry import registry

if TYPE_CHECKING:
    from jobq.base import Job
    from jobq.store.enqueueing import Added
    from jobq.store.keys import Holder


def enqueue_many(jobs: "Iterable[Job]", *, connection: Any = None) -> Sequence[JobRecord | None]:
    """Enqueues many jobs in one transaction, all or none. That is some sixty times as fast as one by one.

    Each job's methods give its queue, priority, retries and unique key. `connection` is as in `Job.run_in_worker`.
    Returns their records in the same order. A record is None if an unfinished job, or an earlier one in the list, holds
    its unique key; `on_held` of the class changes that. Raises as `Job.run_in_worker` does, and then enqueues none.
    """
    return added_to_database(new_jobs(jobs, source_of_caller()), connection)


def enqueue_many_async(
    jobs: "Iterable[Job]", *, connection: Any = None
) -> Coroutine[Any, Any, Sequence[JobRecord | None]]:
    """`enqueue_many` for code in an event loop. `connection` is as in `Job.run_in_worker_async`."""
    return added_to_database_async(new_jobs(jobs, source_of_caller()), connection)


async def only(added: Coroutine[Any, Any, Sequence[JobRecord | None]]) -> JobRecord | None:
    (record,) = await added
    return record


def added_to_database(new: Sequence[NewJob], connection: Any) -> Sequence[JobRecord | None]:
    if not new:
        return []
    if stand_ins.run_inline is not None:
        return stand_ins.run_inline(new)
    from jobq.store import callers, identity
    from jobq.store import enqueueing as store
    from jobq.store.callers import psycopg3
    from jobq.store.database import default_database

    database = default_database()
    if connection is not None and stand_ins.connection is None:  # a test's own connection needs no comparison
        identity.compare_once(database, connection)
    connection = stand_ins.given_or_lent(connection)
    with telemetry.sending(new) as sending:
        steps = store.adding_all(database.schema, sending.jobs, is_announced=connection is None)
        is_atomic = len(new) > 1
        if connection is not None:
            added = callers.on(connection, steps, is_atomic=is_atomic)
        else:
            database.prepare()
            with database.connection(changes=True) as own:
                added = psycopg3.carry_out(own, steps, is_atomic=is_atomic)
        sending.sent(added, partial(callers.when_committed, connection))
    return OnDemand(range(len(new)), lambda place: record_of(new[place], added[place]))


async def added_to_database_async(new: Sequence[NewJob], connection: Any) -> Sequence[JobRecord | None]:
    connection = stand_ins.given_or_awaited(connection)
    if connection is None or stand_ins.run_inline is not None:
        # The pool of this process, which handles forks, failovers and the embedded server. Event loops come and go.
        from asyncio import to_thread

        return await to_thread(added_to_database, new, None)
    if not new:
        return []
    from jobq.store import callers, identity
    from jobq.store import enqueueing as store
    from jobq.store.database import default_database

    database = default_database()
    if stand_ins.connection is None:  # a test's own needs no comparison
        await identity.compare_once_async(database, connection)
    with telemetry.sending(new) as sending:
        steps = store.adding_all(database.schema, sending.jobs)
        added = await callers.on_async(connection, steps, is_atomic=len(new) > 1)
        counts: list[Callable[[], None]] = []
        sending.sent(added, counts.append)
        for count in counts:
            await callers.when_committed_async(connection, count)
    return OnDemand(range(len(new)), lambda place: record_of(new[place], added[place]))


def new_jobs(jobs: "Iterable[Job]", source: str) -> NewJobs:
    """Jobs in the form of table rows. Values that several of them share are checked once."""
    max_bytes = most_bytes()
    alike: dict[tuple[Any, ...], NewJob] = {}
    likes, texts = [], []
    for job in jobs:
        queue, priority, retries = job.get_queue(), job.get_priority(), job.get_retries()
        key, timeout = job.get_unique_key(), job.get_timeout()
        lane = None if job.gate is None else job.get_lane()
        # With their types: True is equal to 1, but no priority.
        kind = (type(job), queue, type(priority), priority, type(retries), retries, key, type(timeout), timeout, lane)
        try:
            like = alike.get(kind)
        except TypeError:  # it has no hash: such a value is never valid
            like = None
        if like is None:
            like = new_job(
                job,
                queue=queue,
                priority=priority,
                retries=retries,
                unique_key=key,
                timeout=timeout,
                lane=lane,
                max_arguments_bytes=max_bytes,
                source=source,
            )
            text = like.arguments
            if key is None:
                alike[kind] = like
        else:
            text = encoded_arguments(job, max_bytes)
        likes.append(like)
        texts.append(text)
    return NewJobs(likes, texts)


def new_job(
    job: "Job",
    *,
    queue: str | None = None,
    delay: float | timedelta | datetime | None = None,
    priority: int | None = None,
    retries: int | None = None,
    unique_key: str | None = None,
    timeout: float | timedelta | None = None,
    expires: float | timedelta | datetime | None = None,
    lane: str | None = None,
    max_arguments_bytes: int | None = None,
    source: str | None = None,
) -> NewJob:
    """A Job in the form of a table row: every option checked, the arguments encoded.

    By default, the maximum size of the arguments comes from the database's settings, and the source is the caller's
    line.
    """
    job_class = type(job)
    name = name_of(job_class)
    stored_name = registry.stored_name(name)
    if stored_name is None:
        raise UnknownJobClass(f"{name} is not registered. Decorate the class with @register_job.")
    if may_be_unknown(job_class, name):
        check_name(job_class, name, project_folder)
    seconds, run_at = due(delay)
    key = checked_key(job.get_unique_key() if unique_key is None else unique_key)
    expires_in, expires_at = checked_expiry(expires, seconds, run_at)
    return NewJob(
        job_class=stored_name,
        arguments=encoded_arguments(job, most_bytes() if max_arguments_bytes is None else max_arguments_bytes),
        queue=checked_queue(job.get_queue() if queue is None else queue),
        priority=checked_int("priority", job.get_priority() if priority is None else priority, MAX_PRIORITY),
        retries=checked_int("retries", job.get_retries() if retries is None else retries, MAX_RETRIES, least=0),
        unique_key=key,
        delay=seconds,
        run_at=run_at,
        source=source or source_of_caller(),
        timeout=checked_timeout(job.get_timeout() if timeout is None else timeout),
        expires_in=expires_in,
        expires_at=expires_at,
        has_abort_hook=job_class._has_abort_hook(),
        key_rules=None if key is None else job_class._key_rules(),
        **gate_and_lane(job, lane, priority),
    )


def gate_and_lane(job: "Job", lane: str | None, priority: int | None) -> dict[str, Any]:
    """The gate of a job's class and the lane that it takes there; nothing where the class has none."""
    gate = job.gate
    if gate is None and lane is None:
        return {}
    if gate is None:
        raise EnqueueError(f"lane is {shortened(lane)}, but {name_of(type(job))} has no gate. Leave it out.")
    if gate.is_strict and priority is not None and priority != job.get_priority():
        raise EnqueueError(
            f"priority is {shortened(priority)}, but the jobs of gate {gate.name!r} keep their order (order='strict'). "
            "Leave it out."
        )
    from jobq.gates import checked_lane

    return {"gate": gate.name, "lane": checked_lane(job.get_lane() if lane is None else lane)}


def bound_arguments(job: "Job") -> dict[str, Any]:
    """The arguments of a job's constructor by their names, with the defaults of those that were left out."""
    positional, named = job._constructor_arguments
    job_class: type = type(job)
    parameters = arguments.signature_of(job_class).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    return defaults | arguments.bind(job_class, positional, named)


def most_bytes() -> int:
    """The maximum size of the arguments, from the settings."""
    from jobq.store.database import default_database

    return default_database().settings.max_arguments_bytes


def project_folder() -> Path:
    """The folder of the project that has the queue, from the settings."""
    from jobq.store.database import default_database

    return default_database().settings.root


def encoded_arguments(job: "Job", max_bytes: int) -> str:
    positional, named = job._constructor_arguments
    bound = arguments.bind(type(job), positional, named)
    try:
        return arguments.encode(bound, max_bytes=max_bytes)
    except ArgumentsError as error:
        raise ArgumentsError(f"{type(job).__name__}: {error}") from None


def source_of_caller() -> str:
    """file:line of the nearest frame of the application. If there is none, the user as `user@host`.

    Frames of libraries that only call a given function, such as a pool of threads or Django after a commit, are
    skipped.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_of_application(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    from jobq.store.database import who_am_i

    return who_am_i()


def is_of_application(frame: FrameType) -> bool:
    """Also if the application is installed like a library: then classes of its package are registered."""
    filename = frame.f_code.co_filename
    if is_jobqs(filename):
        return False
    return not is_librarys(filename) or registry.has_package(frame.f_globals.get("__name__", ""))


def record_of(new: NewJob, added: "Added | None") -> JobRecord | None:
    if added is None:
        return None
    if added.holder is not None:
        return record_of_holder(new, added, added.holder)
    return JobRecord(
        id=added.id,
        job_class=new.job_class,
        queue=new.queue,
        priority=new.priority,
        state=added.state,
        outcome=None,
        attempt=0,
        retries=new.retries,
        unique_key=new.unique_key,
        arguments=arguments.without_secrets(json.loads(new.arguments)),
        enqueued_at=added.enqueued_at,
        run_at=added.run_at,
        source=new.source,
        timeout=new.timeout,
        expires_at=added.expires_at,
    )


def record_of_holder(new: NewJob, added: "Added", holder: "Holder") -> JobRecord:
    """The job that held the key, and what happened to it: it was replaced by the new one, or is unchanged."""
    arguments_text = new.arguments if holder.verdict == "replaced" else holder.arguments or "{}"
    return JobRecord(
        id=added.id,
        job_class=new.job_class,
        queue=holder.queue,
        priority=holder.priority,
        state=added.state,
        outcome=None,
        attempt=holder.attempt,
        retries=holder.retries,
        unique_key=new.unique_key,
        arguments=arguments.without_secrets(json.loads(arguments_text)),
        enqueued_at=added.enqueued_at,
        run_at=added.run_at,
        started_at=holder.started_at,
        source=new.source if holder.verdict == "replaced" else None,
        timeout=holder.timeout,
        expires_at=added.expires_at,
        is_followed=holder.verdict == "followed",
        on_held={"held": "returned"}.get(holder.verdict, holder.verdict),
    )
