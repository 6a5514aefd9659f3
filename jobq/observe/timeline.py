"""The history of a job, in order: enqueued, each attempt with its wait and its backoff, operators' acts. Pure.

The console's job page and `jobq show` both draw these events.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobq.records import ActRecord, AttemptRecord, JobActs, JobDetail, JobRecord
from jobq.states import FINISHED, State


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job was queued: for the first time, or again by an operator.

    `by` is the user, or the line of the application that enqueued it. None if unknown.
    """

    at: datetime
    by: str | None
    is_again: bool = False
    act: ActRecord | None = None  # the retry that queued it again, if known
    due_at: datetime | None = None  # if it is later than the event


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt ended. Seconds are None if unknown."""

    at: datetime
    attempt: AttemptRecord
    waited: float | None = None  # from its due time until run() began
    backoff: float | None = None  # from its end until the next attempt was due, or is


@dataclass(frozen=True, slots=True)
class Begun:
    """The current attempt began."""

    at: datetime
    attempt: int
    waited: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A running job was asked to end. This may happen without an act in the audit."""

    at: datetime
    by: str | None


@dataclass(frozen=True, slots=True)
class Acted:
    at: datetime
    act: ActRecord


Event = Enqueued | Tried | Begun | Asked | Acted

ORDER = (Enqueued, Acted, Asked, Begun, Tried)
"""The order of events at the same moment."""

ENQUEUES = ("enqueue", "run again")
"""Acts that make a job. Its first line names the operator."""


def happened(detail: JobDetail, acts: JobActs | None = None) -> tuple[Event, ...]:
    """Everything known about a job, in order. `acts` is None while they have not been read."""
    named = acts.named if acts is not None else ()
    possible = acts.possible if acts is not None else ()
    queued = queued_events(detail, (*named, *possible))
    told = {event.act.id for event in queued if event.act is not None} | made_by(queued[0], detail.job.id, named)
    events: list[Event] = [*queued, *tried_events(detail), *going_on(detail, named)]
    events += [Acted(act.at, act) for act in named if act.id not in told]
    return tuple(sorted(events, key=lambda event: (event.at, ORDER.index(type(event)))))


def possible_acts(detail: JobDetail, acts: JobActs) -> tuple[ActRecord, ...]:
    """Acts whose record names only their first jobs, except those that this job's history proves."""
    proven = {event.act.id for event in queued_events(detail, acts.possible) if event.act is not None}
    return tuple(act for act in acts.possible if act.id not in proven)


def first_enqueued_at(detail: JobDetail) -> datetime:
    """A retry by hand changes the enqueue time in the job's row: its earlier attempts have the first one."""
    return times_of_enqueueing(detail)[0]


def times_of_enqueueing(detail: JobDetail) -> list[datetime]:
    return sorted({detail.job.enqueued_at, *(one.enqueued_at for one in detail.attempts if one.enqueued_at)})


def queued_events(detail: JobDetail, acts: Iterable[ActRecord]) -> list[Enqueued]:
    """Each time that the job was queued. Its first attempts may have left the history."""
    job, times = detail.job, times_of_enqueueing(detail)
    retries = [act for act in acts if act.verb == "retry"]
    events = []
    for place, at in enumerate(times):
        first = next((one for one in detail.attempts if one.enqueued_at == at), None)
        number = first.attempt if first is not None else job.attempt + (job.state != State.RUNNING)
        is_again = place > 0 or number > 1
        act = next((act for act in retries if act.at <= at <= act.ended_at), None) if is_again else None
        source = first.source if first is not None and first.source else job.source
        due_at = first.run_at if first is not None else job.run_at
        is_early = not is_again and due_at is not None and due_at > at
        by = (act.who if act is not None else None) if is_again else source
        events.append(Enqueued(at, by, is_again, act, due_at if is_early else None))
    return events


def made_by(first: Enqueued, job_id: int, acts: Iterable[ActRecord]) -> set[int]:
    """The act that enqueued it, which its first line shows already."""
    return {
        act.id
        for act in acts
        if not first.is_again and act.verb in ENQUEUES and job_id in act.ids and act.at <= first.at <= act.ended_at
    }


def tried_events(detail: JobDetail) -> list[Tried]:
    queued = detail.job if detail.job.state != FINISHED else None
    following = (*detail.attempts[1:], queued)
    return [
        Tried(attempt.ended_at, attempt, seconds(attempt.run_at, attempt.started_at), backoff_of(attempt, after))
        for attempt, after in zip(detail.attempts, following, strict=False)
    ]


def backoff_of(attempt: AttemptRecord, after: AttemptRecord | JobRecord | None) -> float | None:
    """None if a person, and not the backoff, brought the next attempt."""
    if after is None or not attempt.retried or after.enqueued_at != attempt.enqueued_at:
        return None
    return seconds(attempt.ended_at, after.run_at)


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Never negative: a due job may be claimed a moment before, by another clock."""
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def going_on(detail: JobDetail, acts: Iterable[ActRecord]) -> list[Event]:
    """What the current attempt is doing."""
    job = detail.job
    events: list[Event] = []
    if job.state == State.RUNNING and job.started_at is not None:
        events.append(Begun(job.started_at, job.attempt, seconds(job.run_at, job.started_at) or 0.0))
    asked_at = job.cancel_requested_at
    if asked_at is not None and not any(act.verb == "cancel" and act.at <= asked_at <= act.ended_at for act in acts):
        events.append(Asked(asked_at, job.cancel_requested_by))
    return events
