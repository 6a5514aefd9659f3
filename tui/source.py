"""What the console knows: the `Source` that it asks, and the frozen values that it gets.

A source answers from a database, or from memory in tests. All its text has passed `jobq.clean`, so no screen can forget
that. Its methods may be slow and may raise. Only `feed.py` calls them, never the thread that draws.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from jobq.observe import (
    AttemptLog,
    Failing,
    FailureGroup,
    Forecast,
    Gated,
    Matches,
    Period,
    Position,
    Preview,
    Selected,
    Stuck,
    Why,
)
from jobq.operate import Stack
from jobq.records import ActRecord, ClassRecord, JobActs, JobDetail, JobRecord, ScheduleRecord, Stats
from jobq.states import FINISHED, Outcome, State

from .access import Access, Target

COUNT_LIMIT = 10_000
"""A look counts the jobs of each queue up to this number: it runs every second, and must cost next to nothing."""

MATCH_LIMIT = 1000
"""The matches of a filter are counted up to this number in each list."""

FIRST_SECONDS = 3600.0
"""The period of the figures in the first look."""

Progress = Callable[[int], None]
"""Called with the number of jobs handled so far."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that screens share, at one moment of the database's clock."""

    stats: Stats
    running: tuple[JobRecord, ...]  # those that have run longest
    failing: Failing  # failures of the period, those with the most jobs at rest first
    period: Period  # jobs that ended in the period, and how fast
    seconds: float  # duration of the look
    forbidden: dict[str, str] = field(default_factory=dict)  # what the database's role may not do: the reason, by verb
    stuck: Stuck = field(default_factory=Stuck)  # jobs and schedules that no worker serves
    forecasts: tuple[Forecast, ...] = ()  # when each queue will be empty
    undo_off: str | None = None  # why this person's last act cannot be undone; None if it can

    @property
    def at(self) -> datetime:
        return self.stats.at

    @property
    def contents(self) -> tuple[Any, ...]:
        """Everything but the times: equal in two looks if nothing happened between them."""
        stats = self.stats
        queues = tuple(
            (one.name, one.pending, one.running, one.scheduled, one.paused, one.pause_reason) for one in stats.queues
        )
        workers = tuple((one.id, one.running, one.is_silent, one.is_stopping) for one in stats.workers)
        running = tuple((job.id, job.attempt, job.progress) for job in self.running)
        counts = (stats.pending, stats.scheduled, stats.outcomes, stats.unknown_classes, self.failing.groups_at_rest)
        stuck = (self.stuck.stranded, tuple(one.name for one in self.stuck.schedules))
        gates = tuple(
            (one.name, one.running, one.waiting, one.lanes, one.limit, one.paused_at, one.pause_reason)
            for one in stats.gates
        )
        return queues, gates, workers, running, counts, stuck, self.undo_off


@dataclass(frozen=True, slots=True)
class View:
    """One of the lists of jobs: a state, or finished with an outcome."""

    name: str
    short: str  # for narrow places
    which: str
    outcome: str | None = None

    @property
    def look(self) -> str:
        """The state or outcome that gives it its colour and glyph."""
        return self.outcome or self.which


VIEWS = (
    View("pending", "pend", State.PENDING),
    View("gated", "gate", State.GATED),
    View("scheduled", "sched", State.SCHEDULED),
    View("running", "run", State.RUNNING),
    View("finished", "all", FINISHED),
    View("successful", "good", FINISHED, Outcome.SUCCESSFUL),
    View("errored", "error", FINISHED, Outcome.ERRORED),
    View("cancelled", "cancel", FINISHED, Outcome.CANCELLED),
    View("lost", "lost", FINISHED, Outcome.LOST),
)

VIEW_BY_NAME = {view.name: view for view in VIEWS}


def views_of(snapshot: Snapshot | None) -> tuple[View, ...]:
    """The lists there are: that of gated jobs only where there is a gate."""
    has_gates = snapshot is not None and bool(snapshot.stats.gates)
    return VIEWS if has_gates else tuple(view for view in VIEWS if view.which != State.GATED)


@dataclass(frozen=True, slots=True)
class Query:
    """The requested jobs: a list, and the filter on it as it was typed. `meaning` is internal to the source.

    `barred` are terms that no job of this list can match, such as an outcome of waiting jobs. Then nothing is asked.
    """

    view: View
    text: str
    meaning: Any
    barred: tuple[str, ...] = ()
    order: tuple[str, bool] | None = None  # a column of `observe.orders`, and whether descending; None: newest first

    def __str__(self) -> str:
        return f"{self.view.name} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: tuple[JobRecord, ...]
    next: Position | None  # None: there are no more jobs
    slow: tuple[str, ...] = ()  # terms of the filter that no index serves
    looked: int | None = None  # for a search that continues at `next`: the number of jobs it has read
    sorted: int | None = None  # only this number of the newest jobs is sorted; None: all


@dataclass(frozen=True, slots=True)
class Report:
    """The result of an act: the number of jobs it changed, and those it left alone, by reason."""

    verb: str
    done: tuple[int, ...]
    skipped: dict[int, str]
    asked: tuple[int, ...] = ()  # running jobs that were asked to end, and have not ended
    names: tuple[str, ...] = ()  # queues or schedules, if the act was on none of jobs
    undoable: int = 0  # how many of them can be undone

    @property
    def reasons(self) -> dict[str, list[int]]:
        grouped: dict[str, list[int]] = {}
        for job_id, why in self.skipped.items():
            grouped.setdefault(why, []).append(job_id)
        return grouped


@dataclass(frozen=True, slots=True)
class NamedReport:
    """The result of an act on things with a name: queues, schedules."""

    done_words: str  # as in "paused"
    done: tuple[str, ...]
    skipped: dict[str, str]
    jobs: dict[str, int]  # the jobs that it enqueued
    undoable: int = 0  # how many of them can be undone


@dataclass(frozen=True, slots=True)
class NewJob:
    """The job in the form: the text typed for each parameter, and the options."""

    job_class: str
    texts: dict[str, str]
    queue: str
    delay: str
    priority: str
    retries: str
    timeout: str
    unique_key: str
    like: int | None = None  # the job that it was copied from


OPTIONS = ("queue", "priority", "retries", "timeout", "unique_key")
"""Options that the methods of a class choose, if the form leaves them open."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """What a form would enqueue: each option in words, and the errors and missing values by field."""

    options: dict[str, str]
    problems: dict[str, str]
    by: str  # the origin of these values


class Source(Protocol):
    """The questions that the console asks. Each may raise `jobq.errors.JobqError`."""

    target: Target
    access: Access
    abilities: frozenset[str]
    """Abilities of the source beyond the acts of this protocol. Actions that need a missing ability do not exist."""

    @property
    def badge(self) -> str:
        """What the frame shows beside the target, where the source is more than a view of a database."""

    def look(self, seconds: float) -> Snapshot:
        """The current state of everything, and the figures of a period of this length."""

    def query(self, view: View, text: str) -> Query:
        """Reads a filter. Raises UsageError, which says what is wrong with it."""

    def stored_name(self, job_class: str) -> str:
        """The name under which the jobs of a class are stored, if it is known to differ."""

    def suggestions(self, text: str) -> list[str]:
        """Completions of the last word of a filter."""

    def learn(self, job_class: str) -> None:
        """Collects completions for a filter from workers, and from the newest jobs of a class."""

    def jobs(self, query: Query, *, limit: int, after: Position | None) -> JobPage:
        """A page of a list, in the order of the query."""

    def among(self, query: Query, jobs: Sequence[JobRecord]) -> tuple[JobRecord, ...]:
        """The given jobs that are still in the list, in their current state."""

    def matches(self, query: Query) -> Matches:
        """The number of matching jobs, counted up to MATCH_LIMIT."""

    def job(self, job_id: int) -> JobDetail:
        """One job with its attempts. Raises JobNotFound."""

    def select(self, query: Query, progress: Progress) -> Selected:
        """All current matches. The act is then on exactly the jobs that were counted and shown."""

    def classes(self) -> tuple[ClassRecord, ...]:
        """The classes that live workers know."""

    def check(self, new: NewJob) -> dict[str, str]:
        """The errors of each field of a form, by name, that can be found at once."""

    def plan(self, new: NewJob) -> PlannedJob:
        """What a valid form would enqueue, according to the class's own methods."""

    def enqueue(self, new: NewJob) -> JobRecord | None:
        """Enqueues it. None if an unfinished job holds the unique key."""

    def act(self, verb: str, selected: Selected, progress: Progress, selection: str | None) -> Report:
        """Retries, cancels or purges jobs at the attempts that were seen. Says why it left the others alone."""

    def failures(self, seconds: float) -> tuple[FailureGroup, ...]:
        """The failures of a period of this length, in groups of similar ones."""

    def why(self, job_id: int) -> Why:
        """Why a job is in its state."""

    def audit(self) -> tuple[ActRecord, ...]:
        """What operators did, the latest first."""

    def acts_on(self, job_id: int, since: datetime) -> JobActs:
        """What operators did to a job since `since`, the moment it was first known."""

    def undo(self, act_id: int | None) -> Report:
        """Undoes an act, or this person's last one that can be undone."""

    def schedules(self) -> tuple[ScheduleRecord, ...]:
        """Every schedule with its last runs."""

    def preview(self, hours: float) -> tuple[Preview, ...]:
        """The coming ticks."""

    def act_on_queues(self, verb: str, names: Iterable[str], reason: str | None = None) -> NamedReport:
        """Pauses queues, for a reason, or resumes them."""

    def gate(self, name: str) -> Gated:
        """One gate with its lanes. Raises GateNotFound."""

    def act_on_gate(
        self,
        verb: str,
        gate: str,
        *,
        lane: str | None = None,
        limit: int | None = None,
        seconds: float | None = None,
        reason: str | None = None,
    ) -> NamedReport:
        """Pauses or resumes a gate, or a lane of it, or sets its limit; no limit: as declared."""

    def act_on_failures(self, verb: str, groups: Iterable[str]) -> NamedReport:
        """Mutes groups of failures for a day, for everybody, or unmutes them."""

    def stack(self, job_id: int, attempt: int) -> Stack:
        """What an attempt is doing now. Raises NotRunning."""

    def log(self, job_id: int, attempt: int | None, is_followed: bool) -> AttemptLog:
        """The last lines of an attempt; without one, of the last that has any. Followed, they come as they are said."""

    def act_on_schedules(self, verb: str, names: Iterable[str]) -> NamedReport:
        """Runs, pauses or resumes schedules."""

    def act_on_workers(self, verb: str, numbers: Iterable[str]) -> NamedReport:
        """Asks workers to stop, or declares them dead. By their ids, since a name may be used again."""

    def migrate(self) -> None:
        """Brings the schema up to date."""

    def reset(self) -> None:
        """Drops broken connections, so that the next question finds out at once whether the database is back."""
