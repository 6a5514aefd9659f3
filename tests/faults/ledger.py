"""The ledger, and the one checker: what jobs, enqueuers and operators wrote down for themselves, in a file that jobq
does not know, is held against what jobq's tables say after the run.

A file, appended to by single writes: no fault of the database or of the network reaches it, and what a process wrote
before it was killed stays. Times in it are of the machine's monotonic clock, which nobody shifts.
"""

import itertools
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

# Written into the application's folder, for its jobs and programs to import.
MODULE = '''
import os
import time

FILE = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND)


def note(event, *words):
    """One line, by one write: of lines that processes write at once none is torn."""
    os.write(FILE, "\\t".join([repr(time.monotonic()), event, *map(str, words)]).encode() + b"\\n")


def began(job, token="-"):
    note("began", job.job.id, job.job.attempt, token, os.getppid())


def ended(job, token="-"):
    note("ended", job.job.id, job.job.attempt, token)
'''

KEY_TOLERANCE = timedelta(seconds=1)
"""An enqueuer's statement that waits for the end of the job before has the time at which it began to wait."""

CAUSE_SECONDS = 20.0
"""A worker that was hindered is declared dead, and its jobs are rescued, within this time after the limit."""

FINAL = ("supervisor killed", "host without power", "deploy: SIGTERM, then SIGKILL")
"""A worker hit by these stays silent. Its jobs are rescued once another worker has lived long enough to see that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger."""

    at: float
    event: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.at:12.3f}  {self.event} {' '.join(self.words)}"


@dataclass(slots=True)
class Fault:
    """What was done to whom. `pids` are the supervisors or children hit; none: the server, and with it everyone."""

    kind: str
    began: float
    pids: frozenset[int] = frozenset()
    ended: float | None = None
    recovered: float | None = None

    def __str__(self) -> str:
        span = f"to {self.ended:.3f}" if self.ended is not None else "on"
        return f"{self.began:12.3f}  FAULT {self.kind} {span} pids={sorted(self.pids) or 'all'}"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was not kept. The job is None where it is about something else; `subject` names that."""

    rule: str
    subject: str
    job: int | None = None

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}"


@dataclass(frozen=True)
class Evidence:
    """Everything that is known after a run."""

    entries: list[Entry]
    results: list[Any]  # rows of results, oldest attempt first
    unfinished: list[Any]  # rows of jobs
    workers: dict[int, int] = field(default_factory=dict)  # pid by worker
    ticks: list[Any] = field(default_factory=list)
    acts: dict[str, set[int]] = field(default_factory=dict)  # ids by verb, as far as the audit has them
    affected: dict[str, int] = field(default_factory=dict)  # how many by verb, as the audit has it
    faults: list[Fault] = field(default_factory=list)
    wall_minus_monotonic: float = 0.0
    heartbeat_timeout: float = 3.0
    max_losses: int = 50
    may_error: frozenset[str] = frozenset()  # classes whose jobs fail on purpose …
    exactly_once: frozenset[str] = frozenset()  # … and those that end themselves in a transaction of their own
    gate_limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # of each gate, and of each of its lanes
    orders: set[str] | None = None  # tokens that callers' transactions stored beside their jobs
    effects: Counter[str] = field(default_factory=Counter)  # tokens by what jobs stored with complete()

    @cached_property
    def tokens(self) -> dict[int, str]:
        """By job; a job of a schedule has none."""
        rows = [*self.results, *self.unfinished]
        return {row.id: token for row in rows if (token := row.arguments.get("token")) is not None}

    @cached_property
    def jobs_of(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for job, token in self.tokens.items():
            found[token].add(job)
        for entry in self.of("began"):  # also of what has left no row
            if entry.words[2] != "-":
                found[entry.words[2]].add(int(entry.words[0]))
        return found

    @cached_property
    def by_event(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.event].append(entry)
        return found

    def of(self, event: str) -> list[Entry]:
        return self.by_event.get(event, [])

    @cached_property
    def acknowledged(self) -> dict[int, str]:
        return {int(entry.words[1]): entry.words[0] for entry in self.of("acknowledged")}

    @cached_property
    def attempts(self) -> dict[int, list[Any]]:
        """Rows of results by job."""
        found: dict[int, list[Any]] = defaultdict(list)
        for row in self.results:
            found[row.id].append(row)
        return found

    @cached_property
    def runs(self) -> "dict[tuple[int, int], list[Entry]]":
        """What jobs wrote when they began, by job and attempt."""
        found: dict[tuple[int, int], list[Entry]] = defaultdict(list)
        for entry in self.of("began"):
            found[int(entry.words[0]), int(entry.words[1])].append(entry)
        return found

    @cached_property
    def ends(self) -> dict[tuple[int, int], float]:
        return {(int(entry.words[0]), int(entry.words[1])): entry.at for entry in self.of("ended")}

    @cached_property
    def acted_on(self) -> dict[str, set[int]]:
        """Jobs by verb: what the audit has, what operators were told was done, and of what they were told nothing."""
        found: dict[str, set[int]] = defaultdict(set)
        for verb, ids in self.acts.items():
            found[verb] |= ids
        for entry in (*self.of("acted"), *self.of("act_unknown")):
            found[entry.words[0]].update(map(int, entry.words[1].split(",")))
        return found

    @property
    def purged(self) -> set[int]:
        return self.acted_on["purge"]

    @property
    def retried(self) -> set[int]:
        return self.acted_on["retry"]

    def story(self, violation: Violation) -> str:
        """All that is known of an offender, in order of time where that is known, with the faults of that time."""
        if violation.job is None:
            return ""
        job, token = violation.job, self.tokens.get(violation.job, "?")
        entries = [
            entry
            for entry in self.entries
            if str(job) in entry.words[:2] or token in entry.words or str(job) in entry.words[-1].split(",")
        ]
        timed = [(entry.at, str(entry)) for entry in entries]
        for row in self.attempts.get(job, []):
            at = self.monotonic(row.ended_at)
            what = f"RECORDED attempt {row.attempt} {row.outcome} retried={row.retried} {row.error_type or ''}"
            pid = self.workers.get(row.worker_id)
            timed.append((at, f"{at:12.3f}  {what} worker={row.worker_id}/{pid} {row.error_message or ''}"))
        if timed:
            first, last = min(timed)[0] - 1, max(timed)[0] + 1
            timed += [(fault.began, str(fault)) for fault in self.faults if first <= fault.began <= last]
        lines = [line for _, line in sorted(timed)]
        waiting = [row for row in self.unfinished if row.id == job]
        lines += [f"{'':12}  IN THE QUEUE {row.state} attempt={row.attempt}" for row in waiting]
        lines += [f"{'':12}  AUDIT {verb}" for verb, ids in self.acted_on.items() if job in ids]
        return "\n".join(f"    {line}" for line in lines)

    def monotonic(self, moment: datetime) -> float:
        return moment.timestamp() - self.wall_minus_monotonic


def collect(connection: "psycopg.Connection[Any]", schema: str, ledger: Path, **known: Any) -> Evidence:
    """Reads everything that jobq's tables and the ledger say, at the end of a run."""

    def rows(statement: str) -> list[Any]:
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(statement.format(schema=schema).encode()).fetchall()

    acts: dict[str, set[int]] = defaultdict(set)
    affected: Counter[str] = Counter()
    # An act of many jobs has only some of them in its own row; the others are kept for its undo.
    for act in rows(
        "SELECT verb, affected, ids || ARRAY(SELECT kept.id FROM {schema}.kept WHERE act = audit.id) AS ids "
        "FROM {schema}.audit"
    ):
        acts[act.verb].update(act.ids)
        affected[act.verb] += act.affected
    columns = "id, job_class, unique_key, arguments, source, attempt, worker_id, enqueued_at"
    return Evidence(
        entries=list(entries_of(ledger)),
        results=rows(
            f"SELECT {columns}, gate, lane, started_at, ended_at, outcome, retried, error_type, error_message "
            "FROM {schema}.results ORDER BY id, attempt, ended_at"
        ),
        unfinished=rows(f"SELECT {columns}, state FROM {{schema}}.jobs ORDER BY id"),
        workers={row.id: row.pid for row in rows("SELECT id, pid FROM {schema}.workers")},
        ticks=rows("SELECT * FROM {schema}.ticks WHERE NOT by_hand ORDER BY schedule, tick_at"),
        acts=dict(acts),
        affected=dict(affected),
        wall_minus_monotonic=time.time() - time.monotonic(),
        **known,
    )


def entries_of(ledger: Path) -> Iterator[Entry]:
    for line in ledger.read_text().splitlines():
        at, event, *words = line.split("\t")
        yield Entry(float(at), event, tuple(words))


def check(evidence: Evidence) -> list[Violation]:
    """Every promise that was not kept; none, where the run was as it must be."""
    return [violation for rule in RULES for violation in rule(evidence)]


def figures(evidence: Evidence) -> dict[str, Any]:
    """What a run came to."""
    final = Counter(row.outcome for row in evidence.results if not row.retried)
    runs_by_job = Counter(job for job, _ in evidence.ends)
    return {
        "jobs acknowledged": len(evidence.acknowledged),
        "final": dict(final),
        "attempts recorded": len(evidence.results),
        "attempts recorded as lost": sum(row.outcome == "lost" for row in evidence.results),
        "runs begun": sum(map(len, evidence.runs.values())),
        "answers unknown": len(evidence.of("unknown")),
        "… of which were enqueued": sum(bool(evidence.jobs_of.get(entry.words[0])) for entry in evidence.of("unknown")),
        "refused": len(evidence.of("refused")),
        "rolled back": len(evidence.of("rolled_back")),
        "keys held": len(evidence.of("held")),
        "ran through gates, and most at once": {
            gate: (len(spans), most_at_once(spans)) for gate, spans in gated_spans(evidence).items()
        },
        "jobs acted on": dict(sorted(evidence.affected.items())),
        "ticks": len(evidence.ticks),
        "lost": sum(violation.rule == LOST for violation in check(evidence)),
        "doubled (an attempt recorded as lost ran to its end, and another did)": sum(
            count > 1 and job not in evidence.retried for job, count in runs_by_job.items()
        ),
    }


# The rules. Each says one thing that must hold, and yields where it does not.

LOST = "an acknowledged job is nowhere"


def every_acknowledged_job_is_accounted_for(evidence: Evidence) -> Iterator[Violation]:
    waiting = {row.id for row in evidence.unfinished}
    for job, token in evidence.acknowledged.items():
        ends = [row for row in evidence.attempts.get(job, []) if not row.retried]
        if not ends and job not in waiting and job not in evidence.purged:
            yield Violation(LOST, f"job {job} ({token}) has no end, and is not in the queue", job)


def nothing_is_left(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.unfinished:
        yield Violation("a job was left in the queue", f"job {row.id} is {row.state}", row.id)


def a_job_has_one_final_state(evidence: Evidence) -> Iterator[Violation]:
    waiting = {row.id for row in evidence.unfinished}
    for job, rows in evidence.attempts.items():
        final = [row.outcome for row in rows if not row.retried]
        if len(final) > 1:
            yield Violation("a job has several final states", f"job {job}: {', '.join(final)}", job)
        if final and job in waiting:
            yield Violation("a job has ended, and is in the queue", f"job {job}", job)
        if not final and job not in waiting:
            yield Violation("a job is to run again, and is not in the queue", f"job {job}", job)


def an_attempt_has_one_end(evidence: Evidence) -> Iterator[Violation]:
    for (job, attempt), count in Counter((row.id, row.attempt) for row in evidence.results).items():
        if count > 1:
            yield Violation("an attempt has several ends", f"job {job}, attempt {attempt}: {count} ends", job)


def an_attempt_begins_once(evidence: Evidence) -> Iterator[Violation]:
    for (job, attempt), begun in evidence.runs.items():
        if len(begun) > 1:
            yield Violation("an attempt ran several times", f"job {job}, attempt {attempt}: {len(begun)} times", job)


def what_began_is_recorded(evidence: Evidence) -> Iterator[Violation]:
    recorded = {(row.id, row.attempt) for row in evidence.results}
    waiting = {row.id: row.attempt for row in evidence.unfinished}
    for job, attempt in evidence.runs:
        if (job, attempt) in recorded or job in evidence.purged or waiting.get(job) == attempt:
            continue
        yield Violation("an attempt ran, and has no record", f"job {job}, attempt {attempt}", job)


def success_was_seen(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.results:
        if row.outcome == "successful" and (row.id, row.attempt) not in evidence.ends:
            subject = f"job {row.id}, attempt {row.attempt}"
            yield Violation("recorded as successful, but did not run to its end", subject, row.id)


def another_attempt_has_a_reason(evidence: Evidence) -> Iterator[Violation]:
    """After a success only an operator has a job run again; after an error or a loss jobq does, and says so."""
    begun: dict[int, set[int]] = defaultdict(set)
    for job, attempt in evidence.runs:
        begun[job].add(attempt)
    for row in evidence.results:
        if max(begun.get(row.id, {0})) <= row.attempt or row.id in evidence.retried:
            continue
        if not row.retried or row.outcome not in ("lost", "errored", "deferred"):
            subject = f"job {row.id} ran again after attempt {row.attempt} was recorded as {row.outcome}"
            yield Violation("a job ran again without a reason", subject, row.id)


def a_loss_has_a_cause(evidence: Evidence) -> Iterator[Violation]:
    """A fault hit that very process, or cut its worker off for as long as it takes to be declared dead.

    A job that takes its process along says so before; it takes the coroutines beside it along, too.
    """
    hit = {pid for fault in evidence.faults for pid in fault.pids}
    hit |= {int(entry.words[0]) for entry in evidence.of("dies")}
    for row in evidence.results:
        if row.outcome != "lost":
            continue
        worker = evidence.workers.get(row.worker_id, 0)
        if row.error_type == "ProcessDied":
            is_known = child_of(row) in hit
        elif row.error_type == "CutOff":
            is_known = worker in hit or child_of(row) in hit
        else:
            is_known = was_hindered(evidence, worker, evidence.monotonic(row.ended_at))
        if not is_known:
            subject = f"job {row.id}, attempt {row.attempt}, worker {worker}: {row.error_message}"
            yield Violation("an attempt was lost without a cause", subject, row.id)


def child_of(row: Any) -> int:
    """The process that a record of a loss names; 0 where it names none."""
    found = re.search(r"child process (\d+)", row.error_message or "")
    return int(found[1]) if found else 0


def was_hindered(evidence: Evidence, worker: int, at: float) -> bool:
    since = at - evidence.heartbeat_timeout - CAUSE_SECONDS
    return any(
        (not fault.pids or worker in fault.pids)
        and fault.began <= at
        and (fault.ended is None or fault.ended >= since or (worker in fault.pids and fault.kind in FINAL))
        for fault in evidence.faults
    )


def a_job_rests_as_lost_only_after_its_losses(evidence: Evidence) -> Iterator[Violation]:
    for job, rows in evidence.attempts.items():
        losses = sum(is_loss(row) for row in rows)
        if any(row.outcome == "lost" and not row.retried for row in rows) and losses < evidence.max_losses:
            yield Violation("a job was given up too early", f"job {job}: {losses} losses", job)


def is_loss(row: Any) -> bool:
    """Whether an attempt counts against the limit. The record says where it does not: it may not have begun, it
    was lost with others, or its worker was stopping."""
    is_excused = "not count as a loss" in (row.error_message or "")
    return row.outcome == "lost" and row.error_type != "CutOff" and row.started_at is not None and not is_excused


def an_error_was_meant(evidence: Evidence) -> Iterator[Violation]:
    for row in evidence.results:
        if row.outcome == "errored" and row.job_class not in evidence.may_error:
            subject = f"job {row.id}, attempt {row.attempt}: {row.error_type}: {(row.error_message or '')[:300]}"
            yield Violation("an attempt failed that must not", subject, row.id)


def enqueuers_meet_no_other_errors(evidence: Evidence) -> Iterator[Violation]:
    """Whatever the database does, an enqueuer or operator gets an error of jobq's, which says what to do."""
    for entry in evidence.of("surprise"):
        yield Violation("an error that is not one of jobq's", " ".join(entry.words)[:500])


def who_was_cancelled_was_cancelled_by_somebody(evidence: Evidence) -> Iterator[Violation]:
    cancelled = evidence.acted_on["cancel"]
    for row in evidence.results:
        if row.outcome == "cancelled" and row.id not in cancelled:
            yield Violation("a job was cancelled by nobody", f"job {row.id}: {row.error_message}", row.id)


def acts_are_in_the_audit(evidence: Evidence) -> Iterator[Violation]:
    told: Counter[str] = Counter()
    for entry in evidence.of("acted"):
        told[entry.words[0]] += len(entry.words[1].split(","))
    for verb, count in told.items():
        if evidence.affected.get(verb, 0) < count:
            subject = f"{verb}: operators were told of {count} jobs, the audit of {evidence.affected.get(verb, 0)}"
            yield Violation("an act is not in the audit", subject)


def what_was_rolled_back_never_was(evidence: Evidence) -> Iterator[Violation]:
    for event, rule in (
        ("rolled_back", "rolled back, but enqueued"),
        ("held", "its key was held, but enqueued"),
        ("refused", "refused, but enqueued"),
    ):
        for entry in evidence.of(event):
            for job in evidence.jobs_of.get(entry.words[0], ()):
                yield Violation(rule, f"job {job} ({entry.words[0]})", job)


def what_was_asked_once_is_one_job(evidence: Evidence) -> Iterator[Violation]:
    asked = Counter(entry.words[0] for entry in evidence.of("asked"))
    for token, jobs in evidence.jobs_of.items():
        if token not in asked:
            yield Violation("a job that nobody has enqueued", f"{token}: {sorted(jobs)}", min(jobs))
        if len(jobs) > 1:
            yield Violation("enqueued once, and there are several", f"{token}: {sorted(jobs)}", min(jobs))


def a_key_has_one_unfinished_job(evidence: Evidence) -> Iterator[Violation]:
    """By the times that the database has; a job that was retried by hand has a life for each time it was enqueued."""
    lives: dict[tuple[str, str], dict[tuple[int, datetime], datetime]] = defaultdict(dict)
    for row in evidence.results:
        if row.unique_key is not None:
            of_key = lives[row.job_class, row.unique_key]
            life = (row.id, row.enqueued_at)
            of_key[life] = max(of_key.get(life, row.ended_at), row.ended_at)
    for (job_class, key), of_key in lives.items():
        spans = sorted((began, ended, job) for (job, began), ended in of_key.items())
        for (_, ended, job), (began, _, other) in itertools.pairwise(spans):
            if job != other and began < ended - KEY_TOLERANCE:
                subject = f"{job_class} {key}: job {other} was enqueued before job {job} had ended"
                yield Violation("a unique key had two unfinished jobs", subject, other)


def jobs_of_a_key_do_not_run_at_once(evidence: Evidence) -> Iterator[Violation]:
    """By the jobs' own word. One whose attempt was recorded as lost may run on for a while, unknown to all."""
    records = {(row.id, row.attempt): row for row in evidence.results}
    runs: dict[tuple[str, str], list[tuple[float, float, int]]] = defaultdict(list)
    for (job, attempt), begun in evidence.runs.items():
        row = records.get((job, attempt))
        if row is not None and row.unique_key is not None and row.outcome != "lost" and (job, attempt) in evidence.ends:
            runs[row.job_class, row.unique_key].append((begun[0].at, evidence.ends[job, attempt], job))
    for key, spans in runs.items():
        spans.sort()
        for (_, ended, job), (began, _, other) in itertools.pairwise(spans):
            if job != other and began < ended:
                subject = f"{key}: job {other} began before job {job} had ended"
                yield Violation("two jobs of a unique key ran at once", subject, other)


def a_gate_holds(evidence: Evidence) -> Iterator[Violation]:
    """By the jobs' own word, as for keys."""
    for gate, spans in gated_spans(evidence).items():
        limit, lane_limit = evidence.gate_limits[gate]
        if (most := most_at_once(spans)) > limit:
            yield Violation("a gate let too many through", f"{gate}: {most} at once, the limit is {limit}")
        for lane in {span.lane for span in spans}:
            if (most := most_at_once(span for span in spans if span.lane == lane)) > lane_limit:
                yield Violation("a lane let too many through", f"{gate}, {lane}: {most} at once, not {lane_limit}")


class Span(NamedTuple):
    began: float
    ended: float
    lane: str


def gated_spans(evidence: Evidence) -> dict[str, list[Span]]:
    """When attempts ran that went through a gate, by their own word; none that was recorded as lost."""
    records = {(row.id, row.attempt): row for row in evidence.results}
    found: dict[str, list[Span]] = defaultdict(list)
    for attempt, begun in evidence.runs.items():
        row = records.get(attempt)
        if row is not None and row.gate in evidence.gate_limits and row.outcome != "lost" and attempt in evidence.ends:
            found[row.gate].append(Span(begun[0].at, evidence.ends[attempt], row.lane))
    return found


def most_at_once(spans: Iterable[Span]) -> int:
    steps = sorted(step for span in spans for step in ((span.began, 1), (span.ended, -1)))
    return max(itertools.accumulate(change for _, change in steps), default=0)


def every_tick_is_served_once(evidence: Evidence) -> Iterator[Violation]:
    """The schedules of such a run have a tick a minute, and no tick may be missing between the first and the last."""
    by_schedule: dict[str, list[Any]] = defaultdict(list)
    for tick in evidence.ticks:
        by_schedule[tick.schedule].append(tick)
    of_schedules = {row.id for row in [*evidence.results, *evidence.unfinished] if is_scheduled(row)}
    served = Counter(tick.job_id for tick in evidence.ticks if tick.job_id is not None)
    for name, ticks in by_schedule.items():
        for before, after in itertools.pairwise(ticks):
            if after.tick_at - before.tick_at != timedelta(minutes=1):
                yield Violation("a tick was left out", f"{name}: between {before.tick_at} and {after.tick_at}")
        for tick in ticks:
            if tick.job_id is not None and tick.job_id not in of_schedules | evidence.purged:
                yield Violation("the job of a tick is nowhere", f"{name}, {tick.tick_at}", tick.job_id)
    for job, count in served.items():
        if count > 1:
            yield Violation("ticks share a job", f"job {job}", job)
    for job in of_schedules - served.keys():
        yield Violation("a tick was enqueued twice", f"job {job} belongs to no tick", job)


def is_scheduled(row: Any) -> bool:
    return (row.source or "").startswith("schedule ")


def callers_transactions_are_whole(evidence: Evidence) -> Iterator[Violation]:
    """What a caller stored in the transaction in which it enqueued is there if, and only if, the job is."""
    if evidence.orders is None:
        return
    enqueued = {entry.words[0] for entry in evidence.of("asked") if entry.words[1:] == ("transactional",)}
    for token in enqueued:
        jobs = evidence.jobs_of.get(token, set())
        if bool(jobs) != (token in evidence.orders) and not jobs & evidence.purged and not purged(evidence, token):
            subject = f"{token}: stored={token in evidence.orders}, jobs={sorted(jobs)}"
            yield Violation("half of a caller's transaction", subject, min(jobs, default=None))


def purged(evidence: Evidence, token: str) -> bool:
    return any(job in evidence.purged for job, known in evidence.acknowledged.items() if known == token)


def completed_with_its_effect(evidence: Evidence) -> Iterator[Violation]:
    """What a job stored in the transaction with complete() is there once for each time that it succeeded."""
    successes: Counter[str] = Counter()
    for row in evidence.results:
        if row.outcome == "successful" and row.job_class in evidence.exactly_once:
            successes[evidence.tokens[row.id]] += 1
    for token in successes.keys() | evidence.effects.keys():
        if successes[token] != evidence.effects[token] and not evidence.jobs_of[token] & evidence.purged:
            subject = f"{token}: {successes[token]} successes, {evidence.effects[token]} effects"
            job = min(evidence.jobs_of[token], default=None)
            yield Violation("an effect and its success do not agree", subject, job)


Rule = Callable[[Evidence], Iterable[Violation]]

RULES: list[Rule] = [
    every_acknowledged_job_is_accounted_for,
    nothing_is_left,
    a_job_has_one_final_state,
    an_attempt_has_one_end,
    an_attempt_begins_once,
    what_began_is_recorded,
    success_was_seen,
    another_attempt_has_a_reason,
    a_loss_has_a_cause,
    a_job_rests_as_lost_only_after_its_losses,
    an_error_was_meant,
    enqueuers_meet_no_other_errors,
    who_was_cancelled_was_cancelled_by_somebody,
    acts_are_in_the_audit,
    what_was_rolled_back_never_was,
    what_was_asked_once_is_one_job,
    a_key_has_one_unfinished_job,
    jobs_of_a_key_do_not_run_at_once,
    a_gate_holds,
    every_tick_is_served_once,
    callers_transactions_are_whole,
    completed_with_its_effect,
]


def report(evidence: Evidence, others: Iterable[Violation] = (), *, most: int = 20) -> list[str]:
    """The verdict in lines: each offender with its story. `others` were found by other means."""
    violations = [*others, *check(evidence)]
    lines = []
    for violation in violations[:most]:
        lines.append(f"WRONG: {violation}")
        if story := evidence.story(violation):
            lines.append(story)
    if violations:
        lines.append(
            f"{len(violations)} things are wrong: "
            + ", ".join(
                f"{rule} ({count})" for rule, count in Counter(violation.rule for violation in violations).items()
            )
        )
    else:
        lines.append("every job is accounted for")
    return lines
