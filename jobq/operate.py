"""What operators may do with jobs, queues and schedules. Each act says truly what it did, and why it left the rest."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from jobq import observe
from jobq.errors import JobNotFound, NotRunning
from jobq.job import checked_queue
from jobq.observe import Ended, Selection
from jobq.schedules import Verdict, ticks_of
from jobq.states import FINISHED, WAITING, State
from jobq.store import control, jobs
from jobq.store import schedules as schedule_store
from jobq.store.database import Database, who_am_i

CHUNK = 500

CANCEL_ROUNDS = 3
"""A job may be claimed, or put back, just while it is being cancelled: then it is looked for where it is now."""

WAIT_SECONDS = 0.1
STACK_WAIT_SECONDS = 0.05

Progress = Callable[[int], None]
"""Called with the number of jobs seen to so far."""


@dataclass(slots=True)
class Acted:
    """What came of an act: the ids it was done to, and why not for each of the others.

    `asked` are running jobs whose end was asked for, and is still to come.
    """

    done: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)


def retry(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Queues finished jobs again, under their own ids and with all they had; each gets one more attempt."""

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.retry_by_hand(connection, database.schema, chunk)

    return in_chunks(database, ids, act, why_not_retried, progress)


def cancel(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Calls off jobs that wait, at once, and asks for the end of those that run; see `wait_for_end`."""
    cancelled_by = who_am_i()
    asked: list[int] = []

    def act(chunk: Sequence[int]) -> list[int]:
        done: list[int] = []
        left = set(chunk)
        with database.connection() as connection:
            for _ in range(CANCEL_ROUNDS):
                called_off = jobs.cancel(connection, database.schema, sorted(left), cancelled_by=cancelled_by)
                left.difference_update(called_off)
                running = jobs.request_cancel(connection, database.schema, sorted(left), cancelled_by=cancelled_by)
                left.difference_update(running)
                done += called_off
                asked.extend(running)
                if not left:
                    break
        return [*done, *(job_id for job_id in chunk if job_id in set(asked))]

    acted = in_chunks(database, ids, act, why_not_cancelled, progress)
    told = set(asked)
    acted.done = [job_id for job_id in acted.done if job_id not in told]
    acted.asked = sorted(told)
    return acted


def wait_for_end(database: Database, ids: Iterable[int], *, timeout: float | None = None) -> dict[int, Ended]:
    """Waits until jobs have ended, for `timeout` seconds at most, and returns how each of those that have did."""
    waiting = list(dict.fromkeys(ids))
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        ended = observe.ended(waiting, database=database)
        if len(ended) == len(waiting) or (deadline is not None and time.monotonic() >= deadline):
            return ended
        time.sleep(WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Stack:
    """What a running job was doing a moment ago."""

    job_id: int
    attempt: int
    worker: str | None  # host/pid
    text: str  # of the form of a traceback; or why it could not be had


def stack(database: Database, job_id: int, *, timeout: float = 10.0) -> Stack:
    """The Python stack of a running job, asked of its process, which goes on meanwhile.

    Raises JobNotFound; NotRunning where it is not, or where its worker did not answer within `timeout` seconds.
    """
    job = observe.show(database, job_id).job
    with database.connection() as connection:
        asked = control.request_stack(connection, database.schema, job_id)
        if asked is None:
            state = job.outcome or job.state
            raise NotRunning(f"Job {job_id} is {state}: only a running job has a stack.")
        deadline = time.monotonic() + timeout
        while (text := control.read_stack(connection, database.schema, asked.id)) is None:
            if time.monotonic() >= deadline:
                raise NotRunning(
                    f"Worker {asked.worker or 'unknown'} did not answer within {timeout:g} s. It may be gone (its jobs "
                    "are rescued then), or be of a release that cannot tell."
                )
            time.sleep(STACK_WAIT_SECONDS)
    return Stack(job_id, asked.attempt, asked.worker, text)


def pause_queues(database: Database, queues: Iterable[str], *, reason: str | None = None) -> list[str]:
    """Has nothing started from these queues from now on; what runs goes on. Returns those that were not paused already.

    Raises EnqueueError for what cannot be the name of a queue.
    """
    names = [checked_queue(queue) for queue in dict.fromkeys(queues)]
    database.prepare()
    with database.connection() as connection:
        return control.pause_queues(connection, database.schema, names, paused_by=who_am_i(), reason=reason or None)


def resume_queues(database: Database, queues: Iterable[str]) -> list[str]:
    """Has these queues worked again. Returns those that were paused."""
    names = [checked_queue(queue) for queue in dict.fromkeys(queues)]
    database.prepare()
    with database.connection() as connection:
        return control.resume_queues(connection, database.schema, names)


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
    if state == FINISHED:
        return "it has ended already"
    assert state in (*WAITING, State.RUNNING)
    return "it changes hands too quickly; try again"


def why_not_purged(state: str) -> str:
    return f"it is {state}: only finished jobs can be purged" if state != FINISHED else "it was just taken by another"

