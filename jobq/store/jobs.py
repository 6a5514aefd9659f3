"""What happens to rows of `jobs`: each function makes one transition of `states.py`, for one job or for many."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from psycopg import errors as pg

from jobq.on_demand import OnDemand
from jobq.records import Assignment, Count, NewJob, NewJobs, Report
from jobq.states import Outcome, State
from jobq.store import audit, metrics
from jobq.store.callers.psycopg3 import carry_out
from jobq.store.callers.steps import NoCopy, Steps
from jobq.store.database import Connection
from jobq.store.keys import Holder, moment, placing
from jobq.store.statements import channel, control_channel, quote_identifier, statement

CHUNK = 2000

MAX_BYTES_AT_ONCE = 64 << 20
"""Of arguments, in one statement: PostgreSQL takes no message of a gigabyte."""

LEAST_TO_COPY = 100
"""From so many jobs on, the round trips that a COPY takes more are worth it."""


class Added(NamedTuple):
    """What the database decided about a job that was enqueued."""

    id: int
    state: str
    enqueued_at: datetime
    run_at: datetime
    expires_at: datetime | None
    holder: Holder | None = None  # the key was held, and this is where the job is now


class Decided(NamedTuple):
    """The same, of all jobs that are alike."""

    state: str
    enqueued_at: datetime
    run_at: datetime
    expires_at: datetime | None


Entry = tuple[int, NewJob, str]
"""A job's place among those that are added with it, what it has in common with others, and its arguments."""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where in a queue's order of service a claim begins: at the front, unless a claim left off further on.

    Of queues with equal claims, the one whose `last_turn` is lowest comes first.
    """

    queue: str
    priority: int = 32767
    id: int = 0
    last_turn: int = 0

    @property
    def is_front(self) -> bool:
        return self.id == 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a statement recorded of the reports it was given: how many were still ours, and the same by kind."""

    attempts: int
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    queues: tuple[str, ...]  # of the jobs that were made pending
    promoted: int
    next_due_seconds: float | None
    next_expiry_seconds: float | None  # not above 0: there are jobs to be ended by `expire`
    others: tuple[str, ...]  # in which something was pending before, but for those that were known


@dataclass(frozen=True, slots=True)
class Expiry:
    expired: int
    owed: int  # calls of on_aborted() that are owed for them
    next_expiry_seconds: float | None


def enqueue(connection: psycopg.Connection[Any], schema: str, job: NewJob) -> Added | None:
    """Adds one job; None where its unique key is held. On any connection of psycopg's, also the caller's own."""
    return carry_out(connection, adding(schema, job))


def adding(schema: str, job: NewJob) -> Steps[Added | None]:
    """Adds one job; None where its unique key is held, unless its class says otherwise."""
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
            "channel": channel(schema),
        },
    )
    return added_of(rows[0]) if rows else None


def added_of(row: Sequence[Any]) -> Added:
    job_id, state, enqueued_at, run_at, expires_at, *_ = row
    return Added(
        job_id, state, moment(enqueued_at), moment(run_at), None if expires_at is None else moment(expires_at)
    )


def text_of(time: datetime | None) -> str | None:
    """A time as such statements take it."""
    return None if time is None else time.isoformat()


def enqueue_many(
    connection: psycopg.Connection[Any], schema: str, jobs: Sequence[NewJob]
) -> Sequence[Added | None]:
    """Adds many jobs in one transaction; the answer is in the order given, None where a unique key was held."""
    return carry_out(connection, adding_many(schema, jobs), is_atomic=True)


def adding_many(schema: str, jobs: Sequence[NewJob]) -> Steps[Sequence[Added | None]]:
    """Adds many jobs; the answer is in the order given, None where a unique key was held."""
    new = NewJobs.of(jobs)
    if len(new) >= LEAST_TO_COPY and all(like.unique_key is None for like in new.kinds.values()):
        with suppress(NoCopy):
            return (yield from copying(schema, new))
    added = yield from adding_entries(schema, list(zip(range(len(new)), new.likes, new.arguments, strict=True)))
    return [added.get(place) for place in range(len(new))]


def copying(schema: str, new: NewJobs) -> Steps[Sequence[Added | None]]:
    """Adds jobs without unique keys, which none can refuse, by COPY: several times as fast as by a statement.

    Raises NoCopy where the role may not choose their ids, as COPY must.
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
    """Copies jobs under these ids; returns what was decided, by their kinds."""
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
    queues = sorted({like.queue for like in kinds.values()})
    yield statement("wake", schema), {"channel": channel(schema), "queues": queues}
    return decided


def is_due_at_once(job: NewJob) -> bool:
    """As nearly all are. Of these the database fills in the times: to read them took it a third of the COPY."""
    return job.run_at is None and not job.delay and job.expires_in is None and job.expires_at is None


def blocks_of(ids: Sequence[int], new: NewJobs, texts: Mapping[int, str]) -> Iterator[bytes]:
    """The jobs of these kinds as COPY reads them."""
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
    """What the database decides otherwise, by the same rules."""
    run_at = job.run_at or now + timedelta(seconds=job.delay)
    expires_at = job.expires_at
    if expires_at is None and job.expires_in is not None:
        expires_at = now + timedelta(seconds=job.expires_in)
    return Decided((State.SCHEDULED if run_at > now else State.PENDING).value, now, run_at, expires_at)


def times_of(decided: Decided) -> tuple[str | None, ...]:
    expires_at = None if decided.expires_at is None else decided.expires_at.isoformat()
    is_due = str(decided.state == State.PENDING).lower()
    return is_due, decided.enqueued_at.isoformat(), decided.run_at.isoformat(), expires_at


def fields_of(job: NewJob, *times: str | None) -> str:
    """All columns but the number and the arguments."""
    values = (
        *(job.job_class, job.queue, job.priority, job.retries, job.source, job.trace_context, job.timeout),
        *(job.has_abort_hook, *times),
    )
    return "\t".join(["\\N" if value is None else copied(str(value)) for value in values])


def copied(text: str) -> str:
    """Text as COPY reads it."""
    if is_plain(text):
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def is_plain(text: str) -> bool:
    return "\\" not in text and text.isprintable()


def inserting(schema: str, entries: list[Entry]) -> Steps[dict[int, Added]]:
    """Adds jobs by a statement, those whose unique keys are held left out; returns those that were added, by place."""
    added: dict[int, Added] = {}
    for portion in portions(entries):
        rows = yield statement("enqueue_many", schema), columns_of(portion)
        added.update({portion[number - 1][0]: added_of(row) for number, *row in rows})
    return added


def portions(entries: list[Entry]) -> Iterator[list[Entry]]:
    """All at once, but for arguments of many megabytes. Then by unique key, over all portions: see enqueue_many.sql."""
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
    """Adds jobs. Those with rules for a held key are one statement: it locks in one order all that it meets."""
    ruled = [entry for entry in entries if entry[1].key_rules is not None]
    if not ruled:
        return (yield from inserting(schema, entries))
    added = yield from inserting(schema, [entry for entry in entries if entry[1].key_rules is None])
    found = yield from placing(schema, [(job, arguments) for _, job, arguments in ruled])
    added |= {place: Added(*one) for (place, *_), one in zip(ruled, found, strict=True) if one}
    return added


def order_of_insertion(entry: Entry) -> tuple[str, str, int]:
    """By unique key. Of two with one key the first comes first."""
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
    }


def adding_all(schema: str, jobs: Sequence[NewJob]) -> Steps[Sequence[Added | None]]:
    """Adds one job or many, each in the way that is the fastest."""
    if len(jobs) == 1:
        return [(yield from adding(schema, jobs[0]))]
    return (yield from adding_many(schema, jobs))


def claim(
    connection: Connection,
    schema: str,
    *,
    worker_id: int,
    positions: Sequence[QueuePosition],
    classes: Sequence[str],
    most: int,
    over: Sequence[int] = (),
) -> list[Assignment]:
    """Claims up to `most` jobs in the order of service: by priority; within one, the queues take turns.

    Of the claims that are `over`, this worker holds no job any more.
    """
    rows = connection.execute(
        statement("claim", schema),
        {
            "worker_id": worker_id,
            "queues": [position.queue for position in positions],
            "from_priorities": [position.priority for position in positions],
            "from_ids": [position.id for position in positions],
            "last_turns": [position.last_turn for position in positions],
            "classes": list(classes),
            "most": most,
            "share": -(-most // len(positions)),
            "over": list(over),
        },
    ).fetchall()
    return in_order_of_service([Assignment(*row) for row in rows])


def in_order_of_service(assignments: list[Assignment]) -> list[Assignment]:
    """Higher priority first; within a priority the queues take turns, each in the order of arrival."""
    assignments.sort(key=itemgetter(0))
    turns: dict[tuple[str, int], int] = {}
    keyed = []
    for assignment in assignments:
        place = (assignment.queue, assignment.priority)
        turn = turns[place] = turns.get(place, 0) + 1
        keyed.append((-assignment.priority, turn, assignment.id, assignment))
    keyed.sort(key=itemgetter(0, 1, 2))
    return [assignment for *_, assignment in keyed]


def drop_claims(connection: Connection, schema: str, *, worker_id: int, over: Sequence[int]) -> None:
    """Removes claims of which this worker holds no job any more."""
    connection.execute(statement("drop_claims", schema), {"worker_id": worker_id, "over": list(over)})


def claimed(connection: Connection, schema: str, *, worker_id: int) -> list[Assignment]:
    """Every job that the database says this worker holds."""
    rows = connection.execute(statement("claimed", schema), {"worker_id": worker_id}).fetchall()
    return in_order_of_service([Assignment(*row) for row in rows])


def give_back(
    connection: Connection, schema: str, *, worker_id: int, assignments: Sequence[Assignment]
) -> list[str]:
    """Puts claimed jobs back that have not started, and wakes workers for their queues. Returns the queues."""
    rows = connection.execute(
        statement("give_back", schema),
        {
            "worker_id": worker_id,
            "ids": [assignment.id for assignment in assignments],
            "attempts": [assignment.attempt for assignment in assignments],
            "waits": [assignment.waited_microseconds for assignment in assignments],
        },
    ).fetchall()
    queues = sorted({queue for _, queue, _ in rows})
    if queues:
        notify(connection, schema, queues)
    return queues


def notify(connection: Connection, schema: str, queues: Sequence[str]) -> None:
    """Tells every listening worker that there is something to do in these queues."""
    connection.execute(
        "SELECT pg_notify(%(channel)s, queue) FROM unnest(%(queues)s::text[]) AS queue "
        "WHERE pg_notification_queue_usage() < 0.9",
        {"channel": channel(schema), "queues": list(queues)},
    )


def finish(
    connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float
) -> Recorded:
    """Ends attempts that end their jobs; `now` is this machine's monotonic clock."""
    reports = sorted(reports, key=itemgetter(0))
    if all(is_plain_success(report) for report in reports):
        parameters = {"worker_id": worker_id, **measures_of(reports, now)}
        return recorded_by(connection.execute(statement("finish_plain", schema), parameters))
    return recorded_by(connection.execute(statement("finish", schema), finish_parameters(worker_id, reports, now)))


def finish_parameters(worker_id: int, reports: Sequence[Report], now: float) -> dict[str, Any]:
    values = texts([report.value for report in reports])
    return {"worker_id": worker_id, "values": values, **columns_of_reports(reports, now)}


def is_plain_success(report: Report) -> bool:
    """Whether nothing is to be said of a success but when it was, and what it took."""
    rest = (report.value, report.error_type, report.error_message)
    return report.outcome == Outcome.SUCCESSFUL.value and rest == (None, None, None)


def completing(schema: str, worker_id: int, report: Report) -> Steps[bool]:
    """Ends a successful attempt on the connection of its own job. False: the attempt is not the job's any more."""
    ended = yield statement("finish", schema), finish_parameters(worker_id, [report], monotonic())
    return bool(ended)


def retry(
    connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float
) -> Recorded:
    """Ends attempts that another follows, `retry_delay` seconds from now."""
    reports = sorted(reports, key=itemgetter(0))
    cursor = connection.execute(
        statement("retry", schema),
        {
            "worker_id": worker_id,
            "channel": channel(schema),
            "delays": [report.retry_delay for report in reports],
            "excuses": [int(report.excused) for report in reports],
            "losses": [int(report.loss) for report in reports],
            **columns_of_reports(reports, now),
        },
    )
    return recorded_by(cursor)


def recorded_by(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Recorded:
    counts = tuple([Count(moment(row[0] * 1_000_000), *row[1:10]) for row in cursor.fetchall()])
    return Recorded(sum([count.attempts for count in counts]), counts)


def columns_of_reports(reports: Sequence[Report], now: float) -> dict[str, Any]:
    return {
        **measures_of(reports, now),
        "outcomes": [report.outcome for report in reports],
        "error_types": texts([report.error_type for report in reports]),
        "error_messages": texts([report.error_message for report in reports]),
        "tracebacks": texts([report.traceback for report in reports]),
        "aborted": aborted if True in (aborted := [report.aborted for report in reports]) else None,
        "fingerprints": texts([report.fingerprint for report in reports]),
        "frames": texts([report.frame for report in reports]),
    }


def measures_of(reports: Sequence[Report], now: float) -> dict[str, Any]:
    """Which attempts, when they began and ended, and what they took."""
    return {
        "ids": numbers([report.id for report in reports]),
        "attempts": numbers([report.attempt for report in reports]),
        "start_ages": numbers(["NULL" if report.started is None else now - report.started for report in reports]),
        "end_ages": numbers([now - report.ended for report in reports]),
        "cpu_microseconds": numbers_or_null([report.cpu_microseconds for report in reports]),
        "peak_memories": numbers_or_null([report.peak_memory_kilobytes for report in reports]),
    }


def numbers(values: Iterable[object]) -> str:
    """An array of numbers as PostgreSQL reads it; psycopg takes ten times as long over a list."""
    return "{" + ",".join(map(str, values)) + "}"


def numbers_or_null(values: list[int | None]) -> str:
    return numbers(values) if None not in values else numbers("NULL" if value is None else value for value in values)


def texts(values: list[str | None]) -> list[str | None] | None:
    """A column of texts; None where there is none: unnest() fills the shorter columns up with NULL."""
    return None if values.count(None) == len(values) else values


def promote(
    connection: Connection, schema: str, *, worker_id: int, known: Collection[str] = (), limit: int = 1000
) -> Promotion:
    """Makes up to `limit` due jobs pending, and finds queues in which something is, but for those that are known."""
    row = connection.execute(
        statement("promote", schema),
        {"worker_id": worker_id, "channel": channel(schema), "limit": limit, "known": list(known)},
    ).fetchone()
    assert row is not None
    queues, promoted, next_due_seconds, next_expiry_seconds, others, _ = row
    return Promotion(tuple(queues), promoted, next_due_seconds, next_expiry_seconds, tuple(others))


def expire(connection: Connection, schema: str, *, limit: int = 1000) -> Expiry:
    """Ends up to `limit` jobs that have not started within their time."""
    with connection.transaction():
        row = connection.execute(statement("expire", schema), {"limit": limit}).fetchone()
        assert row is not None
        *expiry, minute, counted = row
        if counted:
            counts = [
                Count(minute, queue, job_class, Outcome.CANCELLED, False, None, None, int(jobs))
                for queue, job_class, jobs in counted
            ]
            metrics.add(connection, schema, metrics.figures_of(counts))
    return Expiry(*expiry)


def count_pending(
    connection: Connection, schema: str, *, queues: Sequence[str] = (), limit: int = 100_000
) -> tuple[int, bool]:
    """How many jobs are pending, and whether there are more than were counted."""
    row = connection.execute(
        statement("count_pending", schema), {"queues": list(queues), "limit": limit}
    ).fetchone()
    assert row is not None
    return row[0], row[0] == limit


def unknown_classes(connection: Connection, schema: str, *, limit: int = 10_000) -> list[
    tuple[str, int, list[str], list[int]]
]:
    """Classes that no live worker knows, among the first `limit` pending jobs of each queue: the number of jobs, their
    queues, and the number in each."""
    return connection.execute(statement("unknown_classes", schema), {"limit": limit}).fetchall()


Seen = Mapping[int, int]
"""The last attempt of each job, as somebody saw it: an act on a later one is refused. Others may have any."""


def fence(ids: Sequence[int], seen: Seen | None) -> dict[str, Any]:
    """The parameters by which a statement acts on the attempts that were seen."""
    return {"ids": list(ids), "attempts": None if seen is None else [seen.get(job_id) for job_id in ids]}


def retry_by_hand(
    connection: Connection, schema: str, ids: Sequence[int], *, act: int | None = None, seen: Seen | None = None
) -> list[int]:
    """Queues finished jobs again; returns those that were, in order. As part of an act, they are kept for its undo."""
    rows = connection.execute(
        statement("retry_by_hand", schema), {**fence(ids, seen), "channel": channel(schema)}
    ).fetchall()
    if act is not None and rows:
        audit.keep(connection, schema, act, [(job_id, attempt) for job_id, attempt, _ in rows])
    return sorted(row[0] for row in rows)


def cancel(
    connection: Connection,
    schema: str,
    ids: Sequence[int],
    *,
    cancelled_by: str,
    act: int | None = None,
    seen: Seen | None = None,
) -> list[int]:
    """Calls off jobs that are not running; returns those that were, in order. As part of an act, they are kept."""
    with connection.transaction():
        rows = connection.execute(
            statement("cancel", schema), {**fence(ids, seen), "cancelled_by": cancelled_by, "act": act}
        ).fetchall()
        if not rows:
            return []
        counts = [
            Count(minute, queue, job_class, Outcome.CANCELLED, False, None, None, 1)
            for _, minute, queue, job_class in rows
        ]
        metrics.add(connection, schema, metrics.figures_of(counts))
    return sorted(row[0] for row in rows)


def request_cancel(
    connection: Connection, schema: str, ids: Sequence[int], *, cancelled_by: str, seen: Seen | None = None
) -> list[int]:
    """Asks for the end of running jobs; returns those that were running, in order."""
    parameters = {**fence(ids, seen), "cancelled_by": cancelled_by, "channel": control_channel(schema)}
    rows = connection.execute(statement("request_cancel", schema), parameters).fetchall()
    return sorted(row[0] for row in rows)


def purge(
    connection: Connection, schema: str, ids: Sequence[int], *, act: int, seen: Seen | None = None
) -> list[int]:
    """Takes every attempt of finished jobs out of sight; returns those jobs, in order."""
    rows = connection.execute(statement("purge", schema), {**fence(ids, seen), "act": act}).fetchall()
    return sorted(job_id for (job_id,) in rows)


def is_refusal_of_data(error: BaseException) -> bool:
    """Whether PostgreSQL refused a value of ours, so that trying again would be refused again."""
    return isinstance(error, psycopg.DataError | pg.CheckViolation | pg.ProgramLimitExceeded)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a row stayed locked for longer than `limit_lock_waits` allows."""
    return isinstance(error, pg.LockNotAvailable)


def limit_lock_waits(connection: Connection, seconds: float) -> None:
    """Until this transaction ends, no statement waits longer than that for a row that somebody holds."""
    connection.execute(f"SET LOCAL lock_timeout = {round(seconds * 1000)}".encode())


def count_successful(
    connection: Connection, schema: str, *, worker_id: int, attempts: Sequence[tuple[int, int]]
) -> Recorded:
    """Those of these attempts that the history has as successful, and as this worker's."""
    cursor = connection.execute(
        statement("count_successful", schema),
        {
            "worker_id": worker_id,
            "ids": [job_id for job_id, _ in attempts],
            "attempts": [number for _, number in attempts],
        },
    )
    return recorded_by(cursor)
