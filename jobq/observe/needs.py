"""What needs somebody, and what is true of it: decided here once, for the console, `jobq doctor` and alerts. Pure.

The facts are read by `jobq/observe/facts.py`, or come with a look of the console. A need is something that is at rest
or stuck now, and that jobq does not mend by itself. What somebody has muted is no need.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from jobq.commands import command, term
from jobq.names import suggestion
from jobq.observe.failures import Failing, FailureGroup
from jobq.observe.words import many, spoken, waiting_text
from jobq.queue_choice import works
from jobq.records import TOO_LARGE, WAITING_LIMIT, GateStats, QueueStats, UnknownClass, WorkerRecord
from jobq.states import Outcome, State

OLD_SECONDS = 300.0
"""A pending job is old when it has been due for longer than this."""

FULL_SECONDS = 600.0
"""A gate that is full is doing what it is for. It needs somebody where a job has waited there for longer than this, and
more jobs wait than in ten rounds of its limit: then more comes than its limit lets through."""

FULL_ROUNDS = 10

LANE_SECONDS = 3600.0
"""A gate that is not full has room, so no lane should wait for it. One whose first job is due for longer than this is
kept back by its own limit, rate or order, or nobody runs it."""

OVERDUE_SECONDS = 120.0
"""A schedule has stopped when its tick is overdue for longer than this."""

STRANDED_SECONDS = 60.0
"""Jobs of a worker that is gone are taken over within seconds: after this time nobody does it."""


class Kind(Enum):
    """The kinds of need, the worst first: all jobs stand still, some jobs can never run, some failed, some are late."""

    NO_WORKER = "no worker"
    STRANDED = "stranded"  # running jobs of a worker that is gone
    DEAD_WORKER = "dead worker"  # silent, and holds jobs
    UNWORKED = "unworked"  # a queue with due jobs that no worker works
    UNKNOWN_CLASS = "unknown class"
    GATE_UNKNOWN = "gate unknown"  # jobs wait at a gate that no worker has ever declared
    SCHEDULE = "schedule"  # it stopped
    WAITING_WORKER = "waiting worker"  # a part of it waits for the database or for a held row
    LOST = "lost"  # jobs at rest that took their process down each time
    FAILED = "failed"  # jobs at rest that errored
    MORE_FAILED = "more failed"
    SILENT_WORKER = "silent worker"  # it holds nothing
    GROWING = "growing"
    GATE_FULL = "gate full"  # for long, with many that wait
    GATE_WAITS = "gate waits"  # a lane waits for long although there is room
    PAUSED = "paused"  # a queue with due jobs
    GATE_PAUSED = "gate paused"  # with jobs that wait

    @property
    def rank(self) -> int:
        return RANKS[self]

    @property
    def is_bad(self) -> bool:
        """Something is broken; not merely late, or as somebody wished."""
        return self.rank < Kind.GROWING.rank


RANKS = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs somebody. `jobs` are those that the row speaks of; `filter` selects the same ones."""

    kind: Kind
    name: str  # of the worker, queue, class, schedule; of a group of failures its class
    text: str
    remedy: str  # a command, or a sentence
    jobs: int = 0
    is_more: bool = False  # there may be more jobs than were counted
    subject: str = ""  # the key of what it is about, where the name is not it: the group
    filter: str = ""

    @property
    def key(self) -> str:
        """The same need in the next look."""
        return f"{self.kind.value} {self.subject or self.name}"


@dataclass(frozen=True, slots=True)
class Stranded:
    """Running jobs of a worker that is gone; without a name where its row is gone too."""

    name: str | None
    jobs: int


@dataclass(frozen=True, slots=True)
class StoppedSchedule:
    name: str
    undeclared_at: datetime | None
    overdue_seconds: float | None


@dataclass(frozen=True, slots=True)
class Stuck:
    """What nobody takes on."""

    stranded: tuple[Stranded, ...] = ()
    schedules: tuple[StoppedSchedule, ...] = ()
    more_schedules: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is looked at: complete, or with the number of what was left out."""

    at: datetime
    since: str  # the period of the failures, as filters write it: 1h
    queues: tuple[QueueStats, ...]
    workers: tuple[WorkerRecord, ...]
    unknown: tuple[UnknownClass, ...]
    failing: Failing
    count_limit: int  # jobs of a queue were counted up to here
    front_limit: int  # jobs at the front of each queue that were looked through for unknown classes
    stuck: Stuck = field(default_factory=Stuck)
    known: tuple[str, ...] = ()  # the classes that workers know, to suggest one
    growth: Mapping[str, float] = field(default_factory=dict)  # of queues, jobs a minute; where it is known
    gates: tuple[GateStats, ...] = ()

    @property
    def pending(self) -> int:
        """Those that are due, at gates too."""
        return sum(queue.pending for queue in self.queues) + sum(gate.waiting for gate in self.gates)

    @property
    def live(self) -> tuple[WorkerRecord, ...]:
        return tuple(worker for worker in self.workers if not worker.is_silent)


def needs(facts: Facts) -> tuple[Need, ...]:
    """Everything that needs somebody, the worst kind first, and within a kind what holds the most jobs."""
    found = [need for check in CHECKS for need in check(facts)]
    return tuple(sorted(found, key=lambda need: (need.kind.rank, -need.jobs, need.name)))


def no_worker(facts: Facts) -> Iterator[Need]:
    if not facts.live and facts.pending:
        silent = " but silent ones" if facts.workers else ""
        is_more = any(queue.pending >= facts.count_limit for queue in facts.queues)
        jobs = wait(facts.pending, facts.pending if is_more else None)
        yield Need(Kind.NO_WORKER, "", f"no worker runs{silent}: {jobs}", command("run"), facts.pending, is_more)


def stranded(facts: Facts) -> Iterator[Need]:
    for one in facts.stuck.stranded:
        name = one.name or "a worker that is gone"
        text = f"{name} is gone: {many(one.jobs, 'running job')}, and no worker takes over"
        yield Need(Kind.STRANDED, name, text, command("run"), one.jobs)


def silent_workers(facts: Facts) -> Iterator[Need]:
    for worker in facts.workers:
        if worker.is_silent:
            kind = Kind.DEAD_WORKER if worker.running else Kind.SILENT_WORKER
            holds = f", holds {many(worker.running, 'job')}" if worker.running else ""
            text = f"{worker.name} silent for {spoken(worker.heartbeat_seconds)}{holds}"
            remedy = (
                f"Look at its machine and log: {worker.host}. If it is dead: {command('stop', '--dead', worker.name)}"
            )
            yield Need(kind, worker.name, text, remedy, worker.running, subject=str(worker.id))


def waiting_workers(facts: Facts) -> Iterator[Need]:
    """Workers that beat, and whose other parts do not come to an end with the database."""
    for worker in facts.live:
        if waiting := worker.waiting:
            text = f"{worker.name}: {waiting_text(waiting)}"
            name = max(waiting, key=lambda service: waiting[service])
            remedy = f"Find what blocks the session 'jobq worker {name}': pg_stat_activity, pg_blocking_pids(pid)."
            yield Need(Kind.WAITING_WORKER, worker.name, text, remedy, worker.running, subject=str(worker.id))


def queues_at_rest(facts: Facts) -> Iterator[Need]:
    """Queues with due jobs that nobody will run, or that come faster than they go."""
    for queue in facts.queues:
        if not queue.pending:
            continue
        is_more = queue.pending >= facts.count_limit
        jobs = wait(queue.pending, facts.count_limit)
        selected = term("queue", queue.name)
        if queue.paused:
            since = f" for {spoken((facts.at - queue.paused_at).total_seconds())}" if queue.paused_at else ""
            by = f" by {queue.paused_by}" if queue.paused_by else ""
            text, remedy = f"{queue.name} paused{since}{by}: {jobs}", command("resume", queue.name)
            yield Need(Kind.PAUSED, queue.name, text, remedy, queue.pending, is_more, filter=selected)
        elif is_unworked(queue, facts):
            text, remedy = f"no worker works queue {queue.name}: {jobs}", command("run", "--queue", queue.name)
            yield Need(Kind.UNWORKED, queue.name, text, remedy, queue.pending, is_more, filter=selected)
        elif is_growing(queue, facts):
            growth, oldest = facts.growth[queue.name], spoken(queue.oldest_seconds or 0.0)
            text = f"{queue.name} grows by {growth:,.1f} a minute, oldest {oldest}"
            remedy = f"Run more processes: {command('run', '--queue', queue.name)}"
            yield Need(Kind.GROWING, queue.name, text, remedy, queue.pending, is_more, filter=selected)


def is_unworked(queue: QueueStats, facts: Facts) -> bool:
    """Whether no worker works it although there are some. Without a live worker, a queue of a silent one is no news."""
    if facts.live:
        return not workers_of(queue, facts.live)
    return bool(facts.workers) and not workers_of(queue, facts.workers)


def is_growing(queue: QueueStats, facts: Facts) -> bool:
    return is_old(queue.oldest_seconds) and facts.growth.get(queue.name, 0.0) > 0 and bool(facts.live)


def is_old(seconds: float | None) -> bool:
    """Whether a job that has been due for so long is late."""
    return seconds is not None and seconds > OLD_SECONDS


def gates(facts: Facts) -> Iterator[Need]:
    """Gates at which jobs wait for longer than they should, one need each."""
    for gate in facts.gates:
        if gate.waiting and (told := gate_trouble(gate, facts)) is not None:
            kind, text, remedy = told
            is_more = gate.waiting >= WAITING_LIMIT
            selected = f"{term('gate', gate.name)} state:{State.GATED}"
            yield Need(kind, gate.name, text, remedy, gate.waiting, is_more, filter=selected)


def gate_trouble(gate: GateStats, facts: Facts) -> tuple[Kind, str, str] | None:
    jobs, age = wait(gate.waiting, WAITING_LIMIT), gate.oldest_seconds or 0.0
    show = command("gates", "show", gate.name)
    if not gate.is_known:
        text = f"gate {gate.name}: no worker has declared it, {jobs}"
        return Kind.GATE_UNKNOWN, text, "Deploy the code that has it, and start a worker."
    if gate.paused_at is not None:
        since = spoken((facts.at - gate.paused_at).total_seconds())
        by = f" by {gate.paused_by}" if gate.paused_by else ""
        text = f"gate {gate.name} paused for {since}{by}: {jobs}"
        return Kind.GATE_PAUSED, text, command("gates", "resume", gate.name)
    if gate.is_full and age > FULL_SECONDS and gate.waiting >= FULL_ROUNDS * max(1, gate.limit or 0):
        return Kind.GATE_FULL, f"gate {gate.name} full, oldest waits {spoken(age)}: {jobs}", show
    if not gate.is_full and gate.has_lanes and age > LANE_SECONDS and facts.live:
        return Kind.GATE_WAITS, f"gate {gate.name} has room, and a lane waits {spoken(age)}: {jobs}", show
    return None


def unknown_classes(facts: Facts) -> Iterator[Need]:
    pending = {queue.name: queue.pending for queue in facts.queues}
    for one in facts.unknown:
        is_more = any(pending.get(queue, 0) > facts.front_limit for queue in one.queues)
        jobs = f"{many(one.jobs, 'job')}{' or more' if is_more else ''}"
        text = f"{one.job_class}: no worker knows it, {jobs} in {', '.join(one.queues)}"
        if told := suggestion(one.job_class, facts.known):
            text += f". {told}"
        chosen = term("class", one.job_class)
        remedy = f"Deploy it, register it as an alias, or: {command('cancel', chosen)}"
        yield Need(Kind.UNKNOWN_CLASS, one.job_class, text, remedy, one.jobs, is_more, filter=chosen)


def schedules(facts: Facts) -> Iterator[Need]:
    for one in facts.stuck.schedules:
        if one.undeclared_at is not None:
            since = spoken((facts.at - one.undeclared_at).total_seconds())
            text = f"schedule {one.name} stopped: no live worker declares it for {since}"
            yield Need(Kind.SCHEDULE, one.name, text, "Deploy the code that declares it.")
        else:
            text = f"schedule {one.name} stopped: a tick is overdue for {spoken(one.overdue_seconds or 0.0)}"
            yield Need(Kind.SCHEDULE, one.name, text, command("run"))
    if facts.stuck.more_schedules:
        text = f"and {many(facts.stuck.more_schedules, 'more schedule')} stopped"
        yield Need(Kind.SCHEDULE, "\uffff", text, command("schedules"))


def failures(facts: Facts) -> Iterator[Need]:
    """What failed in the period and is at rest now, in groups; none that somebody has muted."""
    for group in facts.failing.groups:
        if not group.at_rest or group.muted_until is not None:
            continue
        seen = group.first_at if group.is_new else group.last_at
        when = f"{'new' if group.is_new else 'last'} {spoken((facts.at - seen).total_seconds())} ago"
        text = f"{group.job_class}: {group.at_rest:,} × {group.error_type or 'failed'}, {when}{since_build(group)}"
        chosen = at_rest_filter(group.group, facts.since)
        kind = Kind.LOST if group.outcome == Outcome.LOST else Kind.FAILED
        verb = "purge" if group.error_type == TOO_LARGE else "retry"  # a job that no worker can read ends so again
        remedy = command("show", group.example_id) if kind is Kind.LOST else command(verb, chosen)
        yield Need(kind, group.job_class, text, remedy, group.at_rest, subject=group.group, filter=chosen)
    more = facts.failing.more_groups
    if more:
        at_rest = facts.failing.more_at_rest
        text = f"and {many(more, 'more group')} of failures: {many(at_rest, 'job')} at rest"
        yield Need(Kind.MORE_FAILED, "", text, command("failures", "--since", facts.since), at_rest)


def since_build(group: FailureGroup) -> str:
    """Where a build brought it, or brought it back."""
    origin = group.origin
    if origin is None or (origin.back_in or origin.build) is None:
        return ""
    return f", back in {origin.back_in}" if origin.back_in else f", first in {origin.build}"


def at_rest_filter(group: str, since: str) -> str:
    """Selects the jobs of a group of failures that are at rest: exactly those that its row counts."""
    return f"group:{group} since:{since}"


def place_of_need(need: Need) -> tuple[str, str, str]:
    """Where in the console it is to be seen: a screen, the list on it, and a filter."""
    match need.kind:
        case Kind.NO_WORKER:
            return "workers", "", ""
        case Kind.STRANDED:
            return "jobs", "running", term("worker", need.name) if "/" in need.name else ""
        case Kind.DEAD_WORKER | Kind.SILENT_WORKER | Kind.WAITING_WORKER:
            return "workers", "", need.name
        case Kind.UNWORKED | Kind.GROWING | Kind.PAUSED:
            return "queues", "", need.name
        case Kind.GATE_UNKNOWN | Kind.GATE_FULL | Kind.GATE_WAITS | Kind.GATE_PAUSED:
            return "queues", "gates", need.name
        case Kind.UNKNOWN_CLASS:
            return "jobs", "pending", need.filter
        case Kind.SCHEDULE:
            return "schedules", "", need.name
        case Kind.LOST | Kind.FAILED | Kind.MORE_FAILED:
            return "failures", "", need.subject


def written_place(need: Need) -> str:
    """As `jobq tui` takes it: failures/1f2e3d4c5b6a."""
    return "/".join(filter(None, place_of_need(need)))


CHECKS = (
    no_worker,
    stranded,
    silent_workers,
    waiting_workers,
    queues_at_rest,
    gates,
    unknown_classes,
    schedules,
    failures,
)


def wait(jobs: int, limit: int | None = None) -> str:
    return f"{many(jobs, 'job', limit)} wait{'s' if jobs == 1 else ''}"


def workers_of(queue: QueueStats, workers: tuple[WorkerRecord, ...]) -> list[WorkerRecord]:
    """Those that work a queue."""
    return [worker for worker in workers if works(worker.queues, queue.name)]
