"""Inserts jobs into the table: one by a statement, many by one or by COPY. On any connection, jobq's or a caller's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from jobq.on_demand import OnDemand
from jobq.records import NewJob, NewJobs
from jobq.states import State
from jobq.store.callers.psycopg3 import carry_out
from jobq.store.callers.steps import NoCopy, Steps
from jobq.store.keys import Holder, moment, placing
from jobq.store.statements import channel, gate_channel, quote_identifier, statement, worker_channel

CHUNK = 2000

MAX_BYTES_AT_ONCE = 64 << 20
"""Maximum size of arguments in one statement: PostgreSQL accepts no message of a gigabyte."""

LEAST_TO_COPY = 100
"""From this number of jobs on, COPY is worth its additional round trips."""


class Added(NamedTuple):
    """What the database decided about an enqueued job."""

    id: int
    state: str
    enqueued_at: datetime
    run_at: datetime
    expires_at: datetime | None
    holder: Holder | None = None  # the key was held; the job that holds it


class Decided(NamedTuple):
    """The same decision for all jobs that are alike."""

    state: str
    enqueued_at: datetime
    run_at: datetime
    expires_at: datetime | None


Entry = tuple[int, NewJob, str]
"""A job's place among those that are added together, the values it shares with others, and its arguments."""


def enqueue(connection: psycopg.Connection[Any], schema: str, job: NewJob) -> Added | None:
    """Adds one job. None if its unique key is held. On any connection of psycopg's, also the caller's own."""
    return carry_out(connection, adding(schema, job))


def adding(schema: str, job: NewJob, *, is_announced: bool = False) -> Steps[Added | None]:
    """Adds one job. None if its unique key is held, unless its class says otherwise.

    `is_announced`: its transaction adds nothing else, so workers are told its id.
    """
    if job.key_rules is not None:
        (placed,) = yield from placing(schema, [(job, job.arguments)])
        return Added(*placed) if placed else None
    rows = yield (
        statement("enqueue", schema),
        {
            "job_class": job.job_class,
            "arguments": job.arguments,
            "queue": job.queue,
            "priority": job.priority,
            "retries": job.retries,
            "unique_key": job.unique_key,
            "source": job.source,
            "trace_context": job.trace_context,
            "run_at": text_of(job.run_at),
            "delay": job.delay,
            "timeout": job.timeout,
            "expires_at": text_of(job.expires_at),
            "expires_in": job.expires_in,
            "has_abort_hook": job.has_abort_hook,
            "gate": job.gate,
            "lane": job.lane,
            "channel": channel(schema),
            "worker_channel": worker_channel(schema),
            "is_announced": is_announced,
        },
    )
    return added_of(rows[0]) if rows else None


def added_of(row: Sequence[Any]) -> Added:
    job_id, state, enqueued_at, run_at, expires_at, *_ = row
    return Added(job_id, state, moment(enqueued_at), moment(run_at), None if expires_at is None else moment(expires_at))


def text_of(time: datetime | None) -> str | None:
    """A time as such statements take it."""
    return None if time is None else time.isoformat()


def enqueue_many(connection: psycopg.Connection[Any], schema: str, jobs: Sequence[NewJob]) -> Sequence[Added | None]:
    """Adds many jobs in one transaction. The answer is in the given order, with None if a unique key was held."""
    return carry_out(connection, adding_many(schema, jobs), is_atomic=True)


def adding_many(schema: str, jobs: Sequence[NewJob]) -> Steps[Sequence[Added | None]]:
    """Adds many jobs. The answer is in the given order, with None if a unique key was held."""
    new = NewJobs.of(jobs)
    if len(new) >= LEAST_TO_COPY and all(like.unique_key is None for like in new.kinds.values()):
        with suppress(NoCopy):
            return (yield from copying(schema, new))
    added = yield from adding_entries(schema, list(zip(range(len(new)), new.likes, new.arguments, strict=True)))
    return [added.get(place) for place in range(len(new))]


def copying(schema: str, new: NewJobs) -> Steps[Sequence[Added | None]]:
    """Adds jobs without unique keys, which are never refused, by COPY: several times as fast as by a statement.

    Raises NoCopy if the role may not choose their ids, as COPY must.
    """
    ((drawn, now),) = yield (
        statement("draw_ids", schema),
        {"table": f"{quote_identifier(schema)}.jobs", "count": len(new)},
    )
    if drawn is None:
        raise NoCopy
    ids = sorted(drawn)
    decided = yield from copying_numbered(schema, ids, new, moment(now))
    return OnDemand(range(len(new)), lambda place: Added(ids[place], *decided[id(new.likes[place])]))


def copying_numbered(schema: str, ids: Sequence[int], new: NewJobs, now: datetime) -> Steps[dict[int, Decided]]:
    """Copies jobs with these ids. Returns the decisions, by kind of job."""
    kinds = new.kinds
    due = {key: like for key, like in kinds.items() if is_due_at_once(like)}
    decided = {key: decided_of(like, now) for key, like in kinds.items() if key not in due}
    if decided:
        texts = {key: fields_of(kinds[key], *times_of(found)) for key, found in decided.items()}
        yield statement("copy_jobs", schema), blocks_of(ids, new, texts)
    if due:
        yield statement("copy_due_jobs", schema), blocks_of(ids, new, {key: fields_of(due[key]) for key in due})
        first = next(job_id for job_id, like in zip(ids, new.likes, strict=True) if id(like) in due)
        ((at,),) = yield statement("copied_at", schema), {"id": first}
        decided.update({key: decided_of(like, moment(at)) for key, like in due.items()})
    for to, names in (
        (channel(schema), {like.queue for like in kinds.values() if like.gate is None}),
        (gate_channel(schema), {like.gate for like in kinds.values() if like.gate is not None}),
    ):
        if names:
            yield statement("wake", schema), {"channel": to, "queues": sorted(names)}
    return decided


def is_due_at_once(job: NewJob) -> bool:
    """The form of nearly all jobs. The database fills in their times: reading them took a third of the COPY's time."""
    is_at_once = job.run_at is None and not job.delay and job.expires_in is None and job.expires_at is None
    return is_at_once and job.gate is None


def blocks_of(ids: Sequence[int], new: NewJobs, texts: Mapping[int, str]) -> Iterator[bytes]:
    """The jobs of these kinds in COPY's format."""
    for start in range(0, len(ids), CHUNK):
        chunk = slice(start, start + CHUNK)
        arguments = new.arguments[chunk]
        if not is_plain("".join(arguments)):
            arguments = [copied(text) for text in arguments]
        lines = [
            f"{job_id}\t{text}\t{texts[id(like)]}\n"
            for job_id, text, like in zip(ids[chunk], arguments, new.likes[chunk], strict=True)
            if id(like) in texts
        ]
        yield "".join(lines).encode()


def decided_of(job: NewJob, now: datetime) -> Decided:
    """Decides by the same rules as the database."""
    run_at = job.run_at or now + timedelta(seconds=job.delay)
    expires_at = job.expires_at
    if expires_at is None and job.expires_in is not None:
        expires_at = now + timedelta(seconds=job.expires_in)
    due = State.PENDING if job.gate is None else State.GATED
    return Decided((State.SCHEDULED if run_at > now else due).value, now, run_at, expires_at)


def times_of(decided: Decided) -> tuple[str | None, ...]:
    expires_at = None if decided.expires_at is None else decided.expires_at.isoformat()
    is_due = None if decided.state == State.GATED else str(decided.state == State.PENDING).lower()
    return is_due, decided.enqueued_at.isoformat(), decided.run_at.isoformat(), expires_at


def fields_of(job: NewJob, *times: str | None) -> str:
    """All columns but the id and the arguments."""
    values = (
        *(job.job_class, job.queue, job.priority, job.retries, job.source, job.trace_context, job.timeout),
        *(job.has_abort_hook, *((job.gate, job.lane, *times) if times else ())),
    )
    return "\t".join(["\\N" if value is None else copied(str(value)) for value in values])


def copied(text: str) -> str:
    """Text in COPY's format."""
    if is_plain(text):
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def is_plain(text: str) -> bool:
    return "\\" not in text and text.isprintable()


def inserting(schema: str, entries: list[Entry]) -> Steps[dict[int, Added]]:
    """Adds jobs by a statement, without those whose unique keys are held. Returns the added ones, by place."""
    added: dict[int, Added] = {}
    for portion in portions(entries):
        rows = yield statement("enqueue_many", schema), columns_of(portion)
        added.update({portion[number - 1][0]: added_of(row) for number, *row in rows})
    return added


def portions(entries: list[Entry]) -> Iterator[list[Entry]]:
    """All at once, except for arguments of many megabytes. Then by unique key, over all portions: see
    enqueue_many.sql."""
    if sum(len(arguments) for _, _, arguments in entries) > MAX_BYTES_AT_ONCE:
        entries = sorted(entries, key=order_of_insertion)
    start = size = 0
    for end, (_, _, arguments) in enumerate(entries):
        if size and size + len(arguments) > MAX_BYTES_AT_ONCE:
            yield entries[start:end]
            start, size = end, 0
        size += len(arguments)
    if entries[start:]:
        yield entries[start:]


def adding_entries(schema: str, entries: list[Entry]) -> Steps[dict[int, Added]]:
    """Adds jobs. Those with rules for a held key are one statement, which locks everything in one order."""
    ruled = [entry for entry in entries if entry[1].key_rules is not None]
    if not ruled:
        return (yield from inserting(schema, entries))
    added = yield from inserting(schema, [entry for entry in entries if entry[1].key_rules is None])
    found = yield from placing(schema, [(job, arguments) for _, job, arguments in ruled])
    added |= {place: Added(*one) for (place, *_), one in zip(ruled, found, strict=True) if one}
    return added


def order_of_insertion(entry: Entry) -> tuple[str, str, int]:
    """By unique key. Of two jobs with one key the first comes first."""
    place, job, _ = entry
    return (job.job_class, job.unique_key, place) if job.unique_key else ("", "", place)


def columns_of(entries: Sequence[Entry]) -> dict[str, Any]:
    jobs = [job for _, job, _ in entries]
    return {
        "job_classes": [job.job_class for job in jobs],
        "arguments": [arguments for _, _, arguments in entries],
        "queues": [job.queue for job in jobs],
        "priorities": [job.priority for job in jobs],
        "retries": [job.retries for job in jobs],
        "unique_keys": [job.unique_key for job in jobs],
        "sources": [job.source for job in jobs],
        "trace_contexts": [job.trace_context for job in jobs],
        "run_ats": [text_of(job.run_at) for job in jobs],
        "delays": [job.delay for job in jobs],
        "timeouts": [job.timeout for job in jobs],
        "expires_ats": [text_of(job.expires_at) for job in jobs],
        "expires_ins": [job.expires_in for job in jobs],
        "abort_hooks": [job.has_abort_hook for job in jobs],
        "gates": [job.gate for job in jobs] if any(job.gate for job in jobs) else None,
        "lanes": [job.lane for job in jobs],
    }


def adding_all(schema: str, jobs: Sequence[NewJob], *, is_announced: bool = False) -> Steps[Sequence[Added | None]]:
    """Adds one job or many, each in the fastest way. `is_announced` as for `adding`."""
    if len(jobs) == 1:
        return [(yield from adding(schema, jobs[0], is_announced=is_announced))]
    return (yield from adding_many(schema, jobs))
