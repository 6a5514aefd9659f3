"""What operators may do with jobs and with schedules. Each act says truly what it did, and why it left the rest."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jobq import arguments as stored_arguments
from jobq import observe
from jobq.errors import ArgumentsError, JobNotFound, UnknownJobClass
from jobq.job import MAX_PRIORITY, MAX_RETRIES, checked_int, checked_key, checked_queue, due, record_of
from jobq.observe import Selection
from jobq.records import ClassRecord, JobRecord, NewJob, ParameterRecord
from jobq.schedules import Verdict, ticks_of
from jobq.states import CANCELLABLE, FINISHED, State
from jobq.store import jobs
from jobq.store import schedules as schedule_store
from jobq.store.database import Database, who_am_i

CHUNK = 500

Progress = Callable[[int], None]
"""Called with the number of jobs seen to so far."""


@dataclass(slots=True)
class Acted:
    """What came of an act: the ids it was done to, and why not for each of the others."""

    done: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)


def retry(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Queues finished jobs again, under their own ids and with all they had; each gets one more attempt."""

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.retry_by_hand(connection, database.schema, chunk)

    return in_chunks(database, ids, act, why_not_retried, progress)


def cancel(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Calls off jobs that are not running."""
    cancelled_by = who_am_i()

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.cancel(connection, database.schema, chunk, cancelled_by=cancelled_by)

    return in_chunks(database, ids, act, why_not_cancelled, progress)


def purge(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Deletes finished jobs from the history, with all their attempts. That cannot be undone."""

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.purge(connection, database.schema, chunk)

    return in_chunks(database, ids, act, why_not_purged, progress)


@dataclass(slots=True)
class ActedOnSchedules:
    """What came of an act on schedules: the names it was done to, and why not for each of the others."""

    done: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)  # what was enqueued


def run_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Enqueues the jobs of schedules now, out of turn: their ticks go on as they would have. Also of paused ones.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    run_by = who_am_i()
    for schedule in standing(database, names):
        with database.connection() as connection:
            ran = schedule_store.run(connection, database.schema, name=schedule.name, run_by=run_by)
        if ran is not None and ran.job_id is not None:
            acted.done.append(schedule.name)
            acted.jobs[schedule.name] = ran.job_id
        else:
            acted.skipped[schedule.name] = WHY_NOT_RUN[ran.verdict] if ran else "no live worker declares it"
    return acted


WHY_NOT_RUN = {
    Verdict.OVERLAPPED.value: "its last job is not done, and its jobs may not overlap",
    Verdict.HELD.value: "an unfinished job holds its unique key",
}


def pause_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Lets the ticks of schedules pass without a job. Raises ScheduleNotFound before anything is done."""
    wanted = [schedule.name for schedule in standing(database, names)]
    with database.connection() as connection:
        done = schedule_store.pause(connection, database.schema, wanted, paused_by=who_am_i())
    return ActedOnSchedules(done, {name: "it is paused already" for name in wanted if name not in done})


def resume_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Lets schedules fire again, from their next tick on: what passed while they were paused was not missed.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    for name in [schedule.name for schedule in standing(database, names)]:
        if resume_one(database, name):
            acted.done.append(name)
        else:
            acted.skipped[name] = "it is not paused"
    return acted


def resume_one(database: Database, name: str) -> bool:
    """Again where a worker moved it on between the look and the act. False: it is not paused."""
    while True:
        (seen,) = standing(database, [name])
        if not seen.is_paused:
            return False
        next_at = seen.next_at
        if next_at is not None and next_at <= seen.now:
            next_at = ticks_of(seen.expression, seen.timezone).after(seen.now)
        with database.connection() as connection:
            if schedule_store.resume(connection, database.schema, seen, next_at=next_at):
                return True


def standing(database: Database, names: Iterable[str]) -> list[schedule_store.Standing]:
    """Where schedules stand, in the order of their names as given. Raises ScheduleNotFound."""
    wanted = list(dict.fromkeys(names))
    database.prepare()
    with database.connection() as connection:
        found = {one.name: one for one in schedule_store.standing(connection, database.schema, wanted)}
    observe.require_all(database, wanted, set(found))
    return [found[name] for name in wanted]


def select(database: Database, selection: Selection) -> list[int]:
    """The ids of all jobs that are meant now: what was counted and shown is then what is acted on."""
    return [job.id for page in observe.pages(database, selection) for job in page]


def in_chunks(
    database: Database,
    ids: Iterable[int],
    act: Callable[[Sequence[int]], list[int]],
    why_not: Callable[[str], str],
    progress: Progress | None,
) -> Acted:
    """Acts on a few hundred at a time, so that no statement holds locks for long."""
    database.prepare()
    acted, seen = Acted(), 0
    for chunk in chunks(dict.fromkeys(ids)):
        done = act(chunk)
        acted.done += done
        for job_id in set(chunk) - set(done):
            acted.skipped[job_id] = reason(database, job_id, why_not)
        seen += len(chunk)
        if progress is not None:
            progress(seen)
    return acted


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(ids)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def reason(database: Database, job_id: int, why_not: Callable[[str], str]) -> str:
    try:
        job = observe.show(database, job_id).job
    except JobNotFound:
        return "there is no such job"
    return why_not(job.state)


def why_not_retried(state: str) -> str:
    if state == FINISHED:
        return "another unfinished job holds its unique key"
    return f"it is {state}: only finished jobs can be retried"


def why_not_cancelled(state: str) -> str:
    if state == State.RUNNING:
        return "it is running"
    if state == FINISHED:
        return "it has ended already"
    assert state in CANCELLABLE
    return "it was just taken by another"


def why_not_purged(state: str) -> str:
    return f"it is {state}: only finished jobs can be purged" if state != FINISHED else "it was just taken by another"


# Enqueueing without the application's code


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
    check_arguments(class_of(job_class, observe.classes(database)), arguments)
    seconds, run_at = due(delay)
    new = NewJob(
        job_class=job_class,
        arguments=stored_arguments.encode(arguments, max_bytes=database.settings.max_arguments_bytes),
        queue=checked_queue(queue),
        priority=checked_int("priority", priority, MAX_PRIORITY),
        retries=checked_int("retries", retries, MAX_RETRIES, least=0),
        unique_key=checked_key(unique_key),
        delay=seconds,
        run_at=run_at,
        source=who_am_i(),
    )
    with database.connection() as connection:
        return record_of(new, jobs.enqueue(connection, database.schema, new))


def class_of(name: str, known: Iterable[ClassRecord]) -> ClassRecord:
    for record in known:
        if name == record.name or name in record.aliases:
            return record
    raise UnknownJobClass(f"No live worker knows {name}: arguments that cannot be checked are not enqueued.")


def check_arguments(job_class: ClassRecord, arguments: Mapping[str, Any]) -> None:
    """Whether the arguments fit the parameters by name. Raises ArgumentsError, which names those that do not."""
    parameters = {stored_name(parameter): parameter for parameter in job_class.parameters}
    if strangers := sorted(arguments.keys() - parameters.keys()):
        raise ArgumentsError(f"{job_class.name} has no parameter {', '.join(strangers)}.")
    if missing := [name for name, one in parameters.items() if one.required and name not in arguments]:
        raise ArgumentsError(f"{job_class.name} needs {', '.join(missing)}.")


def stored_name(parameter: ParameterRecord) -> str:
    """The name under which a parameter's argument is stored."""
    return {"rest": "*", "named rest": "**"}.get(parameter.kind, "") + parameter.name


def argument_of(parameter: ParameterRecord, text: str) -> Any:
    """What was typed for a parameter, as its annotation says. Raises ArgumentsError."""
    wanted = {"rest": "list", "named rest": "dict"}.get(parameter.kind, parameter.annotation)
    return stored_arguments.from_annotation(wanted, text)
