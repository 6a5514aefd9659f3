"""Frozen dataclasses that cross layers: what is enqueued, what is stored, what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobq.on_demand import OnDemand
from jobq.states import FINISHED


class KeyRules(NamedTuple):
    """What a job's class says of a unique key that is held. Times are seconds. None in its place: it is passed over."""

    on_held: str
    unique_until: str
    unique_for: float | None
    debounce_limit: float | None


class NewJob(NamedTuple):
    """A job on its way into the table of jobs. A tuple: there may be a hundred thousand in a list.

    Due at `run_at`, or `delay` seconds after the database's now where `run_at` is None.
    """

    job_class: str
    arguments: str  # JSON text
    queue: str = "default"
    priority: int = 0
    retries: int = 0
    unique_key: str | None = None
    delay: float = 0.0
    run_at: datetime | None = None
    source: str | None = None
    trace_context: str | None = None  # JSON text
    timeout: float | None = None  # seconds that each attempt may run
    expires_in: float | None = None  # seconds from the database's now, where expires_at is None
    expires_at: datetime | None = None  # no attempt begins after it
    has_abort_hook: bool = False
    key_rules: KeyRules | None = None
    gate: str | None = None
    lane: str | None = None  # of its gate; None where it has none


class NewJobs(OnDemand[NewJob]):
    """Many jobs on their way. Those that are alike in everything but their arguments share one `NewJob`, whose own
    arguments count for nothing."""

    __slots__ = ("arguments", "likes")

    def __init__(self, likes: list[NewJob], arguments: list[str]) -> None:
        super().__init__(range(len(likes)), lambda place: likes[place]._replace(arguments=arguments[place]))
        self.likes, self.arguments = likes, arguments

    @classmethod
    def of(cls, jobs: Sequence[NewJob]) -> "NewJobs":
        if isinstance(jobs, NewJobs):
            return jobs
        shared: dict[NewJob, NewJob] = {}
        likes = [shared.setdefault(like, like) for like in [job._replace(arguments="") for job in jobs]]
        return cls(likes, [job.arguments for job in jobs])

    @property
    def kinds(self) -> dict[int, NewJob]:
        """Each that is shared, once, by its `id()`: to look it up by what is in it takes ten times as long."""
        return {id(like): like for like in self.likes}

    def traced(self, trace_context: str | None) -> "NewJobs":
        kinds = {key: like._replace(trace_context=trace_context) for key, like in self.kinds.items()}
        return NewJobs([kinds[id(like)] for like in self.likes], self.arguments)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running attempt is, in its own words."""

    done: float
    total: float | None
    message: str | None
    at: datetime  # when it was stored


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a job knows of itself while it runs: `self.job`."""

    id: int
    attempt: int  # how many attempts have begun, this one included
    tries: int  # how many of them count against the retries
    retries: int
    job_class: str
    queue: str
    priority: int
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the database knows it, finished or not.

    `state` is scheduled, pending, running or finished. `outcome` says how it ended, and is None before that.
    `attempt` is the number of attempts that began. Errors are those of the last attempt that had one.
    """

    id: int
    job_class: str
    queue: str
    priority: int
    state: str
    outcome: str | None
    attempt: int
    retries: int
    unique_key: str | None
    arguments: dict[str, Any]  # as stored: tags not decoded
    enqueued_at: datetime
    run_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_type: str | None = None
    error_message: str | None = None
    worker: str | None = None
    source: str | None = None
    timeout: float | None = None  # seconds that each attempt may run
    expires_at: datetime | None = None  # no attempt begins after it
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    progress: Progress | None = None
    is_followed: bool = False  # when it ends, another run follows with newer arguments; only where one job is looked at
    on_held: str | None = None  # only from enqueueing: this job held the key, and was returned, replaced or followed
    traceparent: str | None = None  # of the span that enqueued it (W3C); only where one job is looked at
    gate: str | None = None  # the gate that its attempts go through
    lane: str | None = None  # its lane of that gate; empty: the gate has none

    @property
    def trace_id(self) -> str | None:
        """The id of its trace in a tracing system: 32 hexadecimal digits."""
        parts = (self.traceparent or "").split("-")
        return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None

    # What a record does goes through jobq.handles, which asks the database of `run_in_worker()`.

    def refresh(self) -> "FoundJob":
        """The job as it is now, with its attempts. Raises JobNotFound if it is gone."""
        from jobq import handles

        return handles.get(self.id)

    async def refresh_async(self) -> "FoundJob":
        """`refresh` for code in an event loop."""
        from jobq import handles

        return await handles.get_async(self.id)

    def wait(self, timeout: float | timedelta | None = None) -> "AttemptRecord":
        """Waits until the job has ended for good, and returns its last attempt, whatever its outcome.

        A job that will be retried has not ended. `timeout` is seconds or a timedelta. None waits without a limit, and 0
        looks once. Raises JobNotFinished, which says what the job waits for. Raises JobNotFound if the job was purged,
        or if the transaction that enqueued it is not committed.
        """
        from jobq import handles

        return handles.wait([self], timeout=timeout)[self.id]

    async def wait_async(self, timeout: float | timedelta | None = None) -> "AttemptRecord":
        """`wait` for code in an event loop."""
        from jobq import handles

        return (await handles.wait_async([self], timeout=timeout))[self.id]

    def cancel(self, *, by: str | None = None) -> "JobAct":
        """Cancels a waiting job at once, or asks a running job to end; see `JobAct`.

        `by` is the person in the audit. Default: user@host of this process. Raises JobNotFound.
        """
        from jobq import handles

        return handles.cancel(self.id, by=by)

    async def cancel_async(self, *, by: str | None = None) -> "JobAct":
        """`cancel` for code in an event loop."""
        from jobq import handles

        return await handles.cancel_async(self.id, by=by)

    def retry(self, *, by: str | None = None) -> "JobAct":
        """Queues a finished job again, for one more attempt; see `JobAct`.

        `by` is the person in the audit. Default: user@host of this process. Raises JobNotFound.
        """
        from jobq import handles

        return handles.retry(self.id, by=by)

    async def retry_async(self, *, by: str | None = None) -> "JobAct":
        """`retry` for code in an event loop."""
        from jobq import handles

        return await handles.retry_async(self.id, by=by)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt that ended. `started_at` is None if run() never began.

    `value` is the return value of run(). If it could not be kept, it is None, and `value_note` says why.

    CPU time is that of all threads of its process. Memory is the peak of its process during the attempt. `hidden` names
    the fields that the database's role may not read; they are None here.
    """

    attempt: int
    outcome: str
    retried: bool
    started_at: datetime | None
    ended_at: datetime
    worker: str | None
    error_type: str | None
    error_message: str | None
    traceback: str | None
    value: Any
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    value_note: str | None = None
    enqueued_at: datetime | None = None  # when the job came into the queue before it: by hand for some
    run_at: datetime | None = None  # when it was due
    source: str | None = None  # who enqueued the job, or the line that did
    hidden: tuple[str, ...] = ()
    build: str | None = None  # of the application that ran it; None: unknown


@dataclass(frozen=True, slots=True)
class FoundJob(JobRecord):
    """A job with every attempt that has ended, as `jobq.get` finds it.

    `hidden` names the fields that the database's role may not read; they are empty here.
    """

    attempts: tuple[AttemptRecord, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        return self.state == FINISHED

    @property
    def value(self) -> Any:
        """The return value of run(). None until the job has ended for good, or if it returned nothing."""
        return self.attempts[-1].value if self.is_finished and self.attempts else None

    @property
    def error(self) -> str | None:
        """The error of the last attempt that had one, as `ValueError: its message`."""
        if self.error_type is None:
            return None
        return f"{self.error_type}: {self.error_message}" if self.error_message else self.error_type


@dataclass(frozen=True, slots=True)
class JobAct:
    """The result of an action on one job. It is true if something was done.

    `asked` means that a running job was told to stop and has not ended yet. `act` is the number of the action in the
    audit.
    """

    job_id: int
    verb: str
    done: bool = False
    asked: bool = False
    why_not: str | None = None
    act: int | None = None

    def __bool__(self) -> bool:
        return self.done or self.asked


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its attempts."""

    job: JobRecord
    attempts: tuple[AttemptRecord, ...]
    known: bool  # some live worker knows its class


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """One parameter of a job's constructor, as a worker's child reported it."""

    name: str
    kind: str
    annotation: str | None
    default: str | None
    required: bool

    def shown_as(self, name: str) -> str:
        """As in a signature: `user_id: int = 0`."""
        annotation = f": {self.annotation}" if self.annotation else ""
        default = f" = {self.default}" if self.default is not None else ""
        return f"{name}{annotation}{default}"


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """A registered job class, as a worker's child reported it."""

    name: str
    aliases: tuple[str, ...]
    parameters: tuple[ParameterRecord, ...]
    summary: str | None  # the first line of its docstring
    has_abort_hook: bool = False  # it has an on_aborted() of its own
    is_coroutine: bool = False  # its run() is `async def`
    options: dict[str, Any] = field(default_factory=dict)  # queue, timeout …, but for those that its code computes
    key_rules: dict[str, Any] | None = None  # the fields of KeyRules
    gate: dict[str, Any] | None = None  # what its gate declares: Gate.declaration()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def stored_name(self) -> str:
        """The name under which its jobs are stored."""
        return self.aliases[0] if self.aliases else self.name

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "ClassRecord":
        """As a child reports it, and as a worker's row keeps it."""
        return cls(
            name=entry["name"],
            aliases=tuple(entry["aliases"]),
            parameters=tuple(ParameterRecord(**parameter) for parameter in entry["parameters"]),
            summary=entry["summary"],
            has_abort_hook=entry.get("has_abort_hook", False),
            is_coroutine=entry.get("is_coroutine", False),
            options=entry["options"] if isinstance(entry.get("options"), dict) else {},
            key_rules=entry.get("key_rules"),
            gate=entry.get("gate"),
        )


@dataclass(frozen=True, slots=True)
class DeclaredSchedule:
    """A schedule as the code of a worker declares it, with all that a tick of it enqueues."""

    name: str
    job_class: str
    arguments: dict[str, Any]  # as stored: tags not decoded
    queue: str
    priority: int
    retries: int
    unique_key: str | None
    expression: str
    timezone: str
    missed: str
    overlap: str
    jitter: float
    timeout: float | None = None  # seconds
    has_abort_hook: bool = False
    key_rules: dict[str, Any] | None = None  # the fields of KeyRules
    gate: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One tick that was served. `standing` is the outcome of its job, or its state while unfinished, or the verdict on
    a tick without a job; None where the job is no longer known.
    """

    tick_at: datetime
    fired_at: datetime
    by_hand: bool
    verdict: str
    passed: int  # missed ticks that it also stands for
    job_id: int | None
    standing: str | None
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def run_seconds(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as the database knows it. It fires where it is declared and not paused."""

    name: str
    job_class: str
    arguments: dict[str, Any]  # as stored: tags not decoded
    queue: str
    expression: str
    words: str | None  # None: this version of jobq cannot read the expression
    timezone: str
    missed: str
    overlap: str
    jitter: float
    undeclared_at: datetime | None  # since when no live worker declares it
    paused_at: datetime | None
    paused_by: str | None
    upcoming: tuple[datetime, ...]  # the next three ticks; none where it is not declared
    runs: tuple[TickRecord, ...]  # the last ones, the youngest first

    @property
    def next_at(self) -> datetime | None:
        return self.upcoming[0] if self.upcoming else None

    @property
    def last(self) -> TickRecord | None:
        return self.runs[0] if self.runs else None


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What there is to do in a queue, and whether it is paused."""

    name: str
    pending: int
    running: int
    scheduled: int
    oldest_seconds: float | None  # how long the oldest pending job has been due
    paused: bool
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None


WAITING_LIMIT = 10_000
"""Jobs that wait at a gate are counted up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetByOperators:
    """What operators have set on a gate or a lane, as far as it holds now."""

    set_limit: int | None = None
    set_at: datetime | None = None
    set_until: datetime | None = None
    set_by: str | None = None
    set_reason: str | None = None
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None


@dataclass(frozen=True, slots=True)
class LaneStats(SetByOperators):
    """What waits and runs in one lane of a gate, and what operators have set on it."""

    name: str
    waiting: int  # counted up to a limit
    running: int
    running_since: datetime | None  # of those that run, the first to start
    oldest_seconds: float | None  # how long its first job has been due


@dataclass(frozen=True, slots=True)
class GateStats(SetByOperators):
    """What waits and runs at a gate, its limits as declared, and what operators have set on it."""

    name: str
    declared_limit: int | None
    lane_limit: int | None
    rate: int | None  # starts in any `rate_seconds`
    rate_seconds: float | None
    rate_burst: int | None
    lane_rate: int | None
    lane_rate_seconds: float | None
    lane_rate_burst: int | None
    lane_parameter: str | None
    is_strict: bool
    is_known: bool  # some worker declared it once: without that nothing starts
    is_declared: bool  # a live worker declares it
    next_start_seconds: float | None  # by its rate; None: it has none
    running: int
    running_lanes: int
    running_since: datetime | None  # of those that run, the first to start
    waiting: int  # counted up to a limit
    lanes: int  # in which something waits; counted up to a limit
    oldest_seconds: float | None  # how long the oldest of the first jobs of these lanes has been due

    @property
    def limit(self) -> int | None:
        """The limit that holds now: an operator's stands above the declared one."""
        return self.declared_limit if self.set_limit is None else self.set_limit

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.running >= self.limit

    @property
    def has_lanes(self) -> bool:
        return self.lane_parameter is not None or self.is_strict or self.lanes > 1 or self.running_lanes > 1


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker, as it was last heard of."""

    id: int
    name: str  # host/pid, with #id where another worker has the same
    host: str
    pid: int
    version: str
    processes: int
    queues: tuple[str, ...]  # empty: all
    started_at: datetime
    heartbeat_seconds: float  # since it was last heard of
    running: int
    status: dict[str, Any]
    stop_requested_at: datetime | None = None  # since when somebody wants it to stop
    stop_requested_by: str | None = None
    is_silent: bool = False  # unheard of for longer than Settings.silent_after
    build: str | None = None  # of the application; None: unknown

    @property
    def is_stopping(self) -> bool:
        """It says that it claims nothing any more, whether somebody asked it or a signal told it."""
        return self.status.get("stopping") is True

    @property
    def waiting(self) -> dict[str, float]:
        """Its services that have waited long for the database or for a row that is held, and for how many seconds."""
        told = self.status.get("waiting")
        found = told.items() if isinstance(told, dict) else ()
        return {str(name): float(seconds) for name, seconds in found if isinstance(seconds, int | float)}

    @property
    def hears_requests(self) -> bool:
        """It is of a release that can be asked to stop."""
        return "stopping" in self.status or not self.status  # it has not said anything yet


@dataclass(frozen=True, slots=True)
class UnknownClass:
    """A class with pending jobs that no live worker knows."""

    job_class: str
    jobs: int
    queues: tuple[str, ...]
    counts: tuple[int, ...] = ()  # the jobs in each of these queues


@dataclass(frozen=True, slots=True)
class Stats:
    """The state of everything, at one moment of the database's clock.

    `outcomes` counts attempts, `finished` counts jobs by their last attempt. A job that failed twice and then succeeded
    is three attempts, two of them errored, and one successful job. `estimated` names the figures that were too large
    to count: they were taken from PostgreSQL's statistics, or counted up to a limit.
    """

    scheduled: int
    pending: int
    running: int
    outcomes: dict[str, int]
    queues: tuple[QueueStats, ...]
    workers: tuple[WorkerRecord, ...]
    unknown_classes: tuple[UnknownClass, ...]
    estimated: tuple[str, ...]
    at: datetime
    finished: dict[str, int] = field(default_factory=dict)
    gates: tuple[GateStats, ...] = ()
    gated: int = 0  # jobs that wait at gates


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do and who does it, as /metrics tells it."""

    queues: tuple[QueueStats, ...]
    workers: tuple[WorkerRecord, ...]
    wanted: dict[str, int]  # processes that some of the queues want
    gates: tuple[GateStats, ...] = ()


@dataclass(frozen=True, slots=True)
class ActRecord:
    """One act of an operator, as the audit has it."""

    id: int
    at: datetime
    ended_at: datetime
    who: str  # user@host, as the program said: a claim
    database_user: str  # the role that logged in: certain
    verb: str
    selection: str | None  # the filter, or the reason of a pause; None where there was none
    affected: int
    ids: tuple[int, ...]  # the first of the jobs
    names: tuple[str, ...]  # queues or schedules, where it was none of jobs
    undoes: int | None
    undone_at: datetime | None
    seconds_ago: float
    remaining: int | None = None  # how much of it can be taken back now; None: that was not looked at


@dataclass(frozen=True, slots=True)
class JobActs:
    """What operators did to one job.

    `possible` are acts on so many jobs that only the first are named: it is none of those, and may be another.
    """

    named: tuple[ActRecord, ...]
    possible: tuple[ActRecord, ...]


MAX_ARGUMENTS_BYTES = 64 << 20
"""Maximum size of a job's arguments in bytes, as text or as stored without compression: the upper bound of the setting
of that name. One process can hold as much. A row that somebody wrote by hand may hold more; its job never runs."""

TOO_LARGE = "ArgumentsTooLarge"
"""What stands in the place of an exception's type where a job has such arguments."""


class Assignment(NamedTuple):
    """A claimed job on its way to a child. A tuple: there are tens of thousands a second."""

    id: int  # negative: a call of on_aborted() that is owed, by its own number
    attempt: int
    excused: int
    losses: int
    retries: int
    priority: int
    enqueued_microseconds: int  # since 1970, by the database's clock; a whole number is the cheapest to pass on
    queue: str
    job_class: str
    arguments: str  # JSON text, opened only by the child; empty where it did not come with the claim
    timeout: float | None = None  # seconds; the supervisor's to watch
    waited_microseconds: int = 0  # from when it was due to when it was claimed, by the database's clock
    trace_context: str | None = None  # JSON text
    suspected: bool | None = None  # it, or a neighbour, took a process down: it runs alone, with its begin committed
    claim: int = 0  # with which others it was claimed
    hook: str | None = None  # JSON text: call on_aborted() with this result, instead of run()

    @property
    def tries(self) -> int:
        """This attempt's number among those that count against `retries`; starts at 1."""
        return self.attempt - self.excused


class Report(NamedTuple):
    """How an attempt ended, on its way to the database. Times are this machine's monotonic clock."""

    id: int
    attempt: int
    outcome: str
    started: float | None
    ended: float
    cpu_microseconds: int | None = None
    peak_memory_kilobytes: int | None = None
    value: str | None = None  # JSON text
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    retry_delay: float | None = None  # seconds; None: this is the job's end
    excused: bool = False  # does not count against retries
    loss: bool = False  # counts against the limit of losses
    aborted: bool = False  # run() could not see this end: on_aborted() is owed
    fingerprint: str | None = None  # which failures are like this one
    frame: str | None = None  # the last place in the job's own code
    completed: bool = False  # the job has recorded its success itself; this holds only where that was rolled back
    lines: str | None = None  # from a child: what the attempt has logged; see LogLine
    assignment: Assignment | None = None  # in the supervisor, of an attempt that was not successful


class LogLine(NamedTuple):
    """A line that an attempt has logged or printed: in a part of its log a JSON array of these, one a line.

    Its number is that of the attempt's lines, from 0, so that gaps and doubles are seen.
    """

    number: int
    milliseconds: int  # since the attempt began
    level: int  # as Python's logging has them
    source: str  # the name of the logger, `stdout` or `stderr`
    message: str


class LogPart(NamedTuple):
    """Some lines of one attempt, on their way to the database."""

    job_id: int
    attempt: int
    job_class: str
    queue: str
    started: float  # by this machine's monotonic clock
    said: int  # how many lines it had said by then, also those that are not kept
    level: int  # the highest of these lines
    lines: str  # as many lines of text as there are lines; see LogLine


class Count(NamedTuple):
    """How many attempts of one kind ended in one minute, as a statement that recorded them says it."""

    minute: datetime
    queue: str
    job_class: str
    outcome: str
    retried: bool
    wait_bucket: int | None  # None: it never began
    run_bucket: int | None
    attempts: int
    longest_wait: float | None = None  # seconds
    longest_run: float | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something needs somebody, or does not any more: what the job that is set as `alerts` is called with."""

    kind: str  # as in the console's list: failed, growing, dead worker …
    text: str  # one line for people
    place: str  # where the console shows it: jobq tui PLACE
    since: datetime | None = None
    is_over: bool = False

    def as_text(self) -> dict[str, str]:
        """Its fields for programs that read text."""
        return {
            "kind": self.kind,
            "text": self.text,
            "place": self.place,
            "since": self.since.isoformat() if self.since else "",
            "is_over": "true" if self.is_over else "false",
        }


@dataclass(frozen=True, slots=True)
class Completion:
    """The success of a running attempt, to be recorded by the job itself."""

    worker_id: int
    report: Report
