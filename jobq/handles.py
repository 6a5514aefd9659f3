"""Jobs from Python: look one up, find some, wait for their ends, cancel and retry.

They use the database of `run_in_worker()`. Functions that only read can use a connection of the caller's, and then see
what its transaction sees.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

from jobq import filters, observe, operate, stand_ins
from jobq.errors import DatabaseError, JobNotFinished, JobNotFound, QueryTooSlow
from jobq.filters import Filter
from jobq.observe import Page, Position
from jobq.records import AttemptRecord, FoundJob, JobAct, JobRecord
from jobq.states import FINISHED
from jobq.store import callers
from jobq.store.database import Database, default_database
from jobq.watch import Wait, watch

AnyJob = JobRecord | int
"""A job's record, or its id."""

PAGE = 500

MIN_LOOK_SECONDS = 5.0
"""A caller waits this long for the first look, whatever its timeout: the database may have to be started."""

LATE_SECONDS = 0.25
"""Seconds after its timeout at which a caller gives up on a running look."""

MAX_SECONDS = 100 * 365 * 86400.0
"""A longer time counts as infinite: an operating system cannot wait longer."""

MAX_EXPLAINED = 5
"""For this many jobs an error says what they wait for."""


# Looking


def get(job: AnyJob, *, connection: Any = None) -> FoundJob:
    """A job by its id: its state, outcome, progress, attempts, value and error.

    With your own `connection`, as in `Job.run_in_worker`, it is read there, and sees jobs of the open transaction.
    `FoundJob.hidden` names the fields that the database's role may not read. Raises JobNotFound.
    """
    job_id = checked_id(job)
    if (ran := ran_inline(job_id)) is not None:
        return legible(job_id, ran)
    database = default_database()
    steps = observe.finding(database.schema, job_id)
    connection = stand_ins.given_or_lent(connection)
    found = observe.look(database, steps) if connection is None else callers.on(connection, steps)
    return legible(job_id, found)


async def get_async(job: AnyJob, *, connection: Any = None) -> FoundJob:
    """`get` for code in an event loop. `connection` is as in `Job.run_in_worker_async`."""
    connection = stand_ins.given_or_awaited(connection)
    if connection is None:
        return await asyncio.to_thread(get, job)
    database, job_id = default_database(), checked_id(job)
    found = await callers.on_async(connection, observe.finding(database.schema, job_id))
    return legible(job_id, found)


def find(selection: str = "", *, limit: int | None = None, connection: Any = None) -> Iterator[JobRecord]:
    """The jobs that a filter selects, newest first, as in `jobq list`: `find("queue:mail since:1h")`.

    Pages are read as you ask for them. `limit` is the maximum number of jobs. A filter without a state selects
    unfinished jobs. Raises FilterError.
    """
    return found_by(filters.parse(selection).checked(), limit, connection)


def found_by(selection: Filter, limit: int | None, connection: Any) -> Iterator[JobRecord]:
    database = default_database()
    after, left = None, math.inf if limit is None else limit
    while left > 0:
        page = page_of(database, selection, int(min(left, PAGE)), after, connection)
        yield from page.jobs
        if (after := page.next) is None:
            return
        left -= len(page.jobs)


def page_of(database: Database, selection: Filter, limit: int, after: Position | None, connection: Any) -> Page:
    connection = stand_ins.given_or_lent(connection)
    if connection is None:
        return observe.list_jobs(database, selection, limit=limit, after=after)
    return callers.on(connection, observe.listing(database.schema, selection, limit=limit, after=after))


def find_async(selection: str = "", *, limit: int | None = None, connection: Any = None) -> AsyncIterator[JobRecord]:
    """`find` for code in an event loop: `async for record in find_async(…)`."""
    return found_by_async(filters.parse(selection).checked(), limit, connection)


async def found_by_async(selection: Filter, limit: int | None, connection: Any) -> AsyncIterator[JobRecord]:
    database = default_database()
    after, left = None, math.inf if limit is None else limit
    while left > 0:
        page = await page_of_async(database, selection, int(min(left, PAGE)), after, connection)
        for record in page.jobs:
            yield record
        if (after := page.next) is None:
            return
        left -= len(page.jobs)


async def page_of_async(
    database: Database, selection: Filter, limit: int, after: Position | None, connection: Any
) -> Page:
    connection = stand_ins.given_or_awaited(connection)
    if connection is None:
        return await asyncio.to_thread(page_of, database, selection, limit, after, None)
    steps = observe.listing(database.schema, selection, limit=limit, after=after)
    return await callers.on_async(connection, steps)


# Waiting


def wait(
    jobs: Iterable[AnyJob | None], *, timeout: float | timedelta | None = None, first: bool = False
) -> dict[int, AttemptRecord]:
    """Waits until jobs have ended for good, and returns the last attempt of each, by the job's id.

    With `first`, waits until one job has ended. None among the jobs is skipped: `enqueue_many` returns it for a unique
    key that is held. `timeout` is seconds or a timedelta. None waits without a limit, and 0 looks once.

    Raises JobNotFinished, which has the jobs that ended and says what the others wait for, and JobNotFound.
    """
    ended = wait_for_ends(jobs, timeout=timeout, first=first)
    return {job_id: observe.legible_value(attempt) for job_id, attempt in ended.items()}


def wait_for_ends(
    jobs: Iterable[AnyJob | None], *, timeout: float | timedelta | None = None, first: bool = False
) -> dict[int, AttemptRecord]:
    """`wait`, with values in their stored form."""
    jobs = list(jobs)
    if (ran := ended_inline(jobs)) is not None:
        return ran
    database = default_database()
    with followed(database, jobs, timeout) as waits:
        until = futures.FIRST_COMPLETED if first else futures.FIRST_EXCEPTION
        futures.wait([one.ending for one in waits], patience(timeout), until)
        if (ended := ended_of(waits, first=first)) is not None:
            return ended
        raise not_finished(database, waits, timeout)


async def wait_async(
    jobs: Iterable[AnyJob | None], *, timeout: float | timedelta | None = None, first: bool = False
) -> dict[int, AttemptRecord]:
    """`wait` for code in an event loop. It can be cancelled at any time."""
    jobs = list(jobs)
    if (ran := ended_inline(jobs)) is not None:
        return {job_id: observe.legible_value(attempt) for job_id, attempt in ran.items()}
    database = default_database()
    with followed(database, jobs, timeout) as waits:
        until = asyncio.FIRST_COMPLETED if first else asyncio.FIRST_EXCEPTION
        if waits:
            await asyncio.wait([watched(one) for one in waits], timeout=patience(timeout), return_when=until)
        if (ended := ended_of(waits, first=first)) is None:
            raise await asyncio.to_thread(not_finished, database, waits, timeout)
    return {job_id: observe.legible_value(attempt) for job_id, attempt in ended.items()}


def watched(one: Wait) -> "asyncio.Future[AttemptRecord | None]":
    """For the event loop. The error is handled on the other side: here nobody may ask for it, and it would be
    logged."""
    ending = asyncio.wrap_future(one.ending)
    ending.add_done_callback(lambda done: done.cancelled() or done.exception())
    return ending


@contextmanager
def followed(
    database: Database, jobs: Iterable[AnyJob | None], timeout: float | timedelta | None
) -> Iterator[list[Wait]]:
    """Follows jobs while the caller waits, however the wait ends."""
    ids = list(dict.fromkeys(checked_id(job) for job in jobs if job is not None))
    waits = watch(database).follow(ids, monotonic() + seconds_of(timeout))
    try:
        yield waits
    finally:
        for one in waits:
            one.ending.cancel()


def ended_of(waits: list[Wait], *, first: bool) -> dict[int, AttemptRecord] | None:
    """The last attempts, if the caller has what it waits for. Otherwise raises the reason."""
    ended = ended_by_now(waits)
    return ended if len(ended) == len(waits) or (first and ended) else None


def ended_by_now(waits: list[Wait]) -> dict[int, AttemptRecord]:
    """The attempts of the jobs that have ended. Raises an error of the watch."""
    answered = [one for one in waits if one.is_answered]
    return {one.job_id: attempt for one in answered if (attempt := one.ending.result()) is not None}


def not_finished(database: Database, waits: list[Wait], timeout: float | timedelta | None) -> JobNotFinished:
    """Says what the unfinished jobs wait for."""
    futures.wait([one.ending for one in waits], LATE_SECONDS)  # all deadlines pass at once
    finished = ended_by_now(waits)
    late = [one for one in waits if one.job_id not in finished]
    why = {one.job_id: why_late(database, one) for one in late[:MAX_EXPLAINED]}
    told = " ".join(f"Job {job_id} {reason}" for job_id, reason in why.items())
    if len(waits) > 1:
        told = f"{len(late)} of {len(waits)} jobs have not ended. {told}{' …' if len(late) > MAX_EXPLAINED else ''}"
    unfinished = {one.job_id: why.get(one.job_id) or standing(one) for one in late}
    return JobNotFinished(f"{told} Waited for {seconds_of(timeout):g} s.", finished, unfinished)


def why_late(database: Database, one: Wait) -> str:
    """The state of a job, and what it waits for, as a sentence about it."""
    if not one.is_answered:
        return "has not been seen to end: the database does not answer."
    if one.trouble is not None:
        return f"has not been seen to end. {one.trouble}"
    try:
        found = observe.why(database, one.job_id)
    except (DatabaseError, JobNotFound, QueryTooSlow):  # a role that may not see workers, say: its state is known
        return standing(one)
    if found.job.state == FINISHED:
        return f"has ended just now, as {found.job.outcome}."
    reasons = [f"{reason.text} ({reason.remedy})" if reason.remedy else reason.text for reason in found.reasons]
    return f"is {found.job.state}: {'; '.join(reasons)}."


def standing(one: Wait) -> str:
    return f"is {one.state}."


# Acting


def cancel(job: AnyJob, *, by: str | None = None) -> JobAct:
    """`JobRecord.cancel` by id."""
    return acted("cancel", operate.cancel, checked_id(job), by)


async def cancel_async(job: AnyJob, *, by: str | None = None) -> JobAct:
    return await asyncio.to_thread(cancel, job, by=by)


def retry(job: AnyJob, *, by: str | None = None) -> JobAct:
    """`JobRecord.retry` by id."""
    return acted("retry", operate.retry, checked_id(job), by)


async def retry_async(job: AnyJob, *, by: str | None = None) -> JobAct:
    return await asyncio.to_thread(retry, job, by=by)


def acted(verb: str, act: Callable[..., operate.Acted], job_id: int, by: str | None) -> JobAct:
    with operate.acting_as(by) if by else nullcontext():
        came = act(default_database(), [job_id])
    if job_id in came.skipped:
        require_all_there([job_id])
    return JobAct(job_id, verb, job_id in came.done, job_id in came.asked, came.skipped.get(job_id), came.act)


# Shared parts


def checked_id(job: AnyJob) -> int:
    job_id = job.id if isinstance(job, JobRecord) else job
    if isinstance(job_id, bool) or not isinstance(job_id, int):
        raise TypeError(f"Pass a job's record or its id, not a {type(job).__name__}.")
    observe.require_id(job_id)
    return job_id


def require_all_there(ids: list[int]) -> None:
    """Raises JobNotFound if one of the jobs does not exist."""
    database = default_database()
    there = observe.look(database, observe.standing(database.schema, ids))
    for job_id in ids:
        if job_id not in there:
            raise observe.not_found(database.schema, job_id)


def ran_inline(job_id: int) -> FoundJob | None:
    return None if stand_ins.find_inline is None else stand_ins.find_inline(job_id)


def ended_inline(jobs: Iterable[AnyJob | None]) -> dict[int, AttemptRecord] | None:
    """The attempts of jobs that ran at once, in a test. None if one did not."""
    if stand_ins.find_inline is None:
        return None
    found = {job_id: ran_inline(job_id) for job_id in (checked_id(job) for job in jobs if job is not None)}
    ended = {job_id: one.attempts[-1] for job_id, one in found.items() if one is not None}
    return ended if len(ended) == len(found) else None


def seconds_of(timeout: float | timedelta | None) -> float:
    if timeout is None:
        return math.inf
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:
        raise TypeError(f"timeout is {timeout!r}, but must be seconds, a timedelta, or None.")
    return max(0.0, float(seconds))


def patience(timeout: float | timedelta | None) -> float | None:
    """How long a caller waits for its answer, including a running look."""
    seconds = seconds_of(timeout)
    return None if seconds > MAX_SECONDS else max(seconds + LATE_SECONDS, MIN_LOOK_SECONDS)


def legible(job_id: int, found: FoundJob | None) -> FoundJob:
    if found is None:
        raise observe.not_found(default_database().schema, job_id)
    return replace(found, attempts=tuple(map(observe.legible_value, found.attempts)))
