"""Why a job has not run yet: every reason, the one to remedy first on top."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobq.commands import command
from jobq.names import suggestion
from jobq.observe.jobs import show
from jobq.observe.reading import dicts, reading
from jobq.observe.why_gate import JOBS_COUNTED, LANES_COUNTED, waits_at_gate
from jobq.observe.words import many, spoken
from jobq.records import MAX_ARGUMENTS_BYTES, TOO_LARGE, JobRecord
from jobq.states import FINISHED, State
from jobq.store.database import Database
from jobq.store.workers import known_classes

AHEAD_LIMIT = 20_000
"""Jobs before it are counted up to this number."""

RATE_SECONDS = 600
"""The pace of a queue is measured over this many seconds."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a job waits: `kind` for programs, `text` for people, `remedy` a command that helps, if one
    does."""

    kind: str
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    job: JobRecord
    reasons: tuple[Reason, ...]
    ahead: int | None = None  # pending jobs before it, up to AHEAD_LIMIT
    estimated_seconds: float | None = None  # until these have ended, at the pace of its queue

    @property
    def is_more_ahead(self) -> bool:
        """Whether more jobs may be before it than were counted."""
        return self.ahead is not None and self.ahead >= AHEAD_LIMIT


def why(database: Database, job_id: int) -> Why:
    """Why a job is in its state. Raises JobNotFound."""
    job = show(database, job_id).job
    if job.state == FINISHED:
        return Why(job, tuple(why_finished(database, job)))
    with reading(database) as connection:
        asked = {
            "longest": MAX_ARGUMENTS_BYTES,
            "id": job_id,
            "limit": AHEAD_LIMIT,
            "rate_seconds": float(RATE_SECONDS),
        }
        rows = dicts(connection, "observe_why", database.schema, asked)
        names = [record.name for record in known_classes(connection, database.schema)] if is_unknown(rows) else []
        bounds = {"id": job_id, "limit": JOBS_COUNTED, "lanes": LANES_COUNTED}
        at_gate = dicts(connection, "observe_why_gate", database.schema, bounds) if job.gate is not None else []
    if not rows:  # it ended in between
        return why(database, job_id)
    facts = rows[0]
    if facts["state"] == State.RUNNING:
        return Why(job, tuple(why_running(facts, database.settings.silent_after)))
    if facts["is_impossible"]:
        return Why(job, (impossible(job_id),))
    seconds = estimate(facts)
    never = why_never(facts, names, database.settings.silent_after)
    gated = why_at_gate(at_gate) if facts["state"] == State.GATED else ()
    reasons = (*why_not_due(facts), *never, *gated, *why_later(facts, seconds))
    return Why(job, reasons or (NEXT,), facts["ahead"] if facts["state"] == State.PENDING else None, seconds)


def impossible(job_id: int) -> Reason:
    large = f"its arguments are more than {MAX_ARGUMENTS_BYTES >> 20} MB"
    return Reason("impossible", f"{large}: a worker ends it as errored, without running it", command("cancel", job_id))


def is_unknown(rows: list[dict[str, Any]]) -> bool:
    """Whether workers serve the queue of a job, but none of them knows its class."""
    return any(facts["working_it"] and not facts["knowing_it"] for facts in rows)


FOLLOWED = "another run follows with newer arguments: a job with its key was enqueued while it ran"

NEXT = Reason("next", "nothing is wrong: it is next, and starts as soon as a worker asks")


def why_finished(database: Database, job: JobRecord) -> Iterator[Reason]:
    """It waits for nothing. Says whether it could be retried."""
    if job.error_type == TOO_LARGE:
        yield Reason("impossible", job.error_message or TOO_LARGE, command("purge", job.id))
        return
    remedy = None if job.outcome == "successful" else command("retry", job.id)
    yield Reason("finished", f"it has ended: {job.outcome}, in attempt {job.attempt} of {job.retries + 1}", remedy)
    if job.unique_key is None:
        return
    with reading(database) as connection:
        holders = dicts(
            connection,
            "observe_key_holder",
            database.schema,
            {"job_class": job.job_class, "unique_key": job.unique_key},
        )
    for holder in holders:
        yield Reason(
            "key held",
            f"it cannot be queued again: its key {job.unique_key!r} is held by job {holder['id']}, which is "
            f"{holder['state']}",
            command("why", holder["id"]),
        )


def why_running(facts: dict[str, Any], silent_after: float) -> Iterator[Reason]:
    owner = facts["owner"] or "a worker that is not known"
    since = f"{facts['started_at']:%Y-%m-%d %H:%M:%S %Z}"
    yield Reason("running", f"attempt {facts['attempt']} runs on {owner} since {since}")
    if facts["cancel_requested_at"] is not None:
        yield Reason("cancelling", "its end was asked for")
    if facts["is_followed"]:
        yield Reason("followed", FOLLOWED)
    if facts["is_owner_gone"] or facts["owner"] is None:
        yield Reason("lost", "that worker is gone: another one takes the job over", command("workers"))
    elif facts["owner_silent_seconds"] > silent_after:
        yield Reason(
            "silent",
            f"that worker was last heard of {facts['owner_silent_seconds']:.0f} s ago; once it is declared dead, "
            "another takes the job over",
            command("workers"),
        )


def why_not_due(facts: dict[str, Any]) -> Iterator[Reason]:
    if facts["state"] != State.SCHEDULED:
        return
    if facts["due_in_seconds"] > 0:
        retry = f", after attempt {facts['attempt']} did not succeed" if facts["attempt"] else ""
        yield Reason(
            "not due",
            f"it is not due until {facts['run_at']:%Y-%m-%d %H:%M:%S %Z}, in {facts['due_in_seconds']:.0f} s{retry}",
        )
    elif facts["workers"]:
        yield Reason("due", "it has just become due: a worker queues it within seconds")


def why_never(facts: dict[str, Any], names: list[str], silent_after: float) -> Iterator[Reason]:
    """Reasons that do not pass by waiting. `names` are the classes that workers know."""
    if facts["paused_at"] is not None:
        by = f" by {facts['paused_by']}" if facts["paused_by"] else ""
        reason = f": {facts['pause_reason']}" if facts["pause_reason"] else ""
        yield Reason(
            "paused",
            f"its queue {facts['queue']!r} is paused since {facts['paused_at']:%Y-%m-%d %H:%M:%S %Z}{by}{reason}",
            command("resume", facts["queue"]),
        )
    if facts["workers"] == 0:
        yield Reason("no worker", "no worker runs", command("run"))
    elif facts["working_it"] == 0:
        yield Reason(
            "queue not worked",
            f"of {many(facts['workers'], 'worker')}, none works queue {facts['queue']!r}",
            command("run", "--queue", facts["queue"]),
        )
    elif facts["knowing_it"] == 0:
        yield Reason(
            "class not known",
            f"of {many(facts['working_it'], 'worker')} of its queue, none knows the class {facts['job_class']}: deploy "
            "the code that has it, or register it as an alias of what it is called now. "
            f"{suggestion(facts['job_class'], names)}".rstrip(". "),
            "jobq jobs",
        )
    elif facts["silent_seconds"] > silent_after:
        yield Reason(
            "silent",
            f"every worker that could run it is silent: the last was heard of {facts['silent_seconds']:.0f} s ago",
            command("workers"),
        )


def why_at_gate(facts: list[dict[str, Any]]) -> Iterator[Reason]:
    """What keeps it at its gate; nothing where it ended in between."""
    for one in facts:
        yield from (Reason(*wait) for wait in waits_at_gate(one))


def why_later(facts: dict[str, Any], seconds: float | None) -> Iterator[Reason]:
    """Reasons that pass by waiting."""
    if facts["state"] not in (State.PENDING, State.GATED):
        return
    if facts["ahead"] and facts["state"] == State.PENDING:
        about = "about" if facts["ahead"] < AHEAD_LIMIT else "more than"
        pace = "no job of its queue ended recently" if seconds is None else f"{about} {spoken(seconds)} at today's pace"
        ahead = many(facts["ahead"], "job", AHEAD_LIMIT)
        yield Reason("behind", f"{ahead} of its queue before it: {pace}", command("stats", "--since", "1h"))
    if facts["knowing_it"] and facts["busy"] >= facts["processes"]:
        busy = f"no process is free: {many(facts['processes'], 'process')} could run it"
        yield Reason("busy", busy, command("list", "running"))


def estimate(facts: dict[str, Any]) -> float | None:
    """Seconds until the jobs before it have ended, at the recent pace. None if no job ended."""
    if facts["state"] != State.PENDING or not facts["ended_lately"]:
        return None
    return float(facts["ahead"] / (facts["ended_lately"] / RATE_SECONDS))
