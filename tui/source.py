"""What the console knows of the world: the `Source` it asks, and the frozen values it gets.

A source answers from a database, or from memory in tests. All text that it gives has passed `jobq.clean`: no screen can
forget it. Its methods may take long and may raise; only `feed.py` calls them, never the thread that draws.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from jobq.observe import Failing, FailureGroup, Matches, Period, Position, Preview, Selected, Stuck, Why
from jobq.operate import Stack
from jobq.records import ActRecord, ClassRecord, JobActs, JobDetail, JobRecord, ScheduleRecord, Stats
from jobq.states import FINISHED, Outcome, State

from .access import Access, Target

COUNT_LIMIT = 10_000
"""A look counts the jobs of each queue up to here: it comes every second, and must cost next to nothing."""

MATCH_LIMIT = 1000
"""The matches of a filter are counted up to here in each list."""

FIRST_SECONDS = 3600.0
"""The period of the figures of the first look."""

Progress = Callable[[int], None]
"""Called with the number of jobs seen to so far."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that every screen shares, at one moment of the database's clock."""

    stats: Stats
    running: tuple[JobRecord, ...]  # those that have run the longest
    failing: Failing  # what failed in the period, those with the most jobs at rest first
    period: Period  # what ended in the period, and how fast
    seconds: float  # what it took to look
    forbidden: dict[str, str] = field(default_factory=dict)  # what the database's role may not do, by verb: why
    stuck: Stuck = field(default_factory=Stuck)  # what nobody takes on
    undo_off: str | None = None  # why an undo of this person's last act would do nothing; None where it would

    @property
    def at(self) -> datetime:
        return self.stats.at

    @property
    def contents(self) -> tuple[Any, ...]:
        """All but the times: two looks between which nothing happened have the same."""
        stats = self.stats
        queues = tuple(
            (one.name, one.pending, one.running, one.scheduled, one.paused, one.pause_reason) for one in stats.queues
        )
        workers = tuple((one.id, one.running, one.is_silent, one.is_stopping) for one in stats.workers)
        running = tuple((job.id, job.attempt, job.progress) for job in self.running)
        counts = (stats.pending, stats.scheduled, stats.outcomes, stats.unknown_classes, self.failing.groups_at_rest)
        stuck = (self.stuck.stranded, tuple(one.name for one in self.stuck.schedules))
        return queues, workers, running, counts, stuck, self.undo_off


@dataclass(frozen=True, slots=True)
class View:
    """One of the lists of jobs: a state, or finished with an outcome."""

    name: str
    short: str  # where there is little room
    which: str
    outcome: str | None = None

    @property
    def look(self) -> str:
        """The state or outcome whose colour and glyph it has."""
        return self.outcome or self.which


VIEWS = (
    View("pending", "pend", State.PENDING),
    View("scheduled", "sched", State.SCHEDULED),
    View("running", "run", State.RUNNING),
    View("finished", "all", FINISHED),
    View("successful", "good", FINISHED, Outcome.SUCCESSFUL),
    View("errored", "error", FINISHED, Outcome.ERRORED),
    View("cancelled", "cancel", FINISHED, Outcome.CANCELLED),
    View("lost", "lost", FINISHED, Outcome.LOST),
)

VIEW_BY_NAME = {view.name: view for view in VIEWS}


@dataclass(frozen=True, slots=True)
class Query:
    """Which jobs are meant: a list, and the filter on it as it was typed. `meaning` is the source's own.

    `barred` are terms that no job of this list can fit, as an outcome of those that wait: nothing is asked then.
    """

    view: View
    text: str
    meaning: Any
    barred: tuple[str, ...] = ()
    order: tuple[str, bool] | None = None  # a column of `observe.orders`, and whether it falls; None: newest first

    def __str__(self) -> str:
        return f"{self.view.name} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: tuple[JobRecord, ...]
    next: Position | None  # None: there are no more
    slow: tuple[str, ...] = ()  # terms of the filter that no index serves
    looked: int | None = None  # of a search that goes on at `next`: how many jobs it has gone through
    sorted: int | None = None  # only so many of the newest are sorted; None: all


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an act: how many it was done to, and how many were left, by the reason."""

    verb: str
    done: tuple[int, ...]
    skipped: dict[int, str]
    asked: tuple[int, ...] = ()  # running jobs whose end was asked for, and is still to come
    names: tuple[str, ...] = ()  # queues or schedules, where it was none of jobs
    undoable: int = 0  # how much of it can be taken back

    @property
    def reasons(self) -> dict[str, list[int]]:
        grouped: dict[str, list[int]] = {}
        for job_id, why in self.skipped.items():
            grouped.setdefault(why, []).append(job_id)
        return grouped


@dataclass(frozen=True, slots=True)
class NamedReport:
    """What came of an act on what has a name: queues, schedules."""

    done_words: str  # as in "paused"
    done: tuple[str, ...]
    skipped: dict[str, str]
    jobs: dict[str, int]  # what was enqueued by it
    undoable: int = 0  # how much of it can be taken back


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as the form has it: what was typed for each parameter, and the options."""

    job_class: str
    texts: dict[str, str]
    queue: str
    delay: str
    priority: str
    retries: str
    timeout: str
    unique_key: str
    like: int | None = None  # the job that it was made from


OPTIONS = ("queue", "priority", "retries", "timeout", "unique_key")
"""What the methods of a class choose, where the form leaves it open."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """What a form would enqueue: each option, in words, and what is wrong or must be said, by field."""

    options: dict[str, str]
    problems: dict[str, str]
    by: str  # who says so


class Source(Protocol):
    """What the console asks. Everything here may raise `jobq.errors.JobqError`."""

    target: Target
    access: Access
    abilities: frozenset[str]
    """What the database's side offers beyond the acts of this protocol; actions that need more do not exist."""

    @property
    def badge(self) -> str:
        """What the frame says of it, beside the target, where it is more than a look at a database."""

    def look(self, seconds: float) -> Snapshot:
        """The state of everything now, and the figures of a period that long."""

    def query(self, view: View, text: str) -> Query:
        """Reads a filter. Raises UsageError, which says what is wrong with it."""

    def stored_name(self, job_class: str) -> str:
        """The name under which the jobs of a class are stored, as far as that is known to be another."""

    def suggestions(self, text: str) -> list[str]:
        """How the last word of a filter might go on."""

    def learn(self, job_class: str) -> None:
        """Looks for what a filter may be completed with: at what workers know, and at the newest jobs, of a class."""

    def jobs(self, query: Query, *, limit: int, after: Position | None) -> JobPage:
        """A page of a list, in the order that the query asks for."""

    def among(self, query: Query, jobs: Sequence[JobRecord]) -> tuple[JobRecord, ...]:
        """Those of some jobs that are still in the list, as they are now."""

    def matches(self, query: Query) -> Matches:
        """How many jobs match, counted up to MATCH_LIMIT."""

    def job(self, job_id: int) -> JobDetail:
        """One job with its attempts. Raises JobNotFound."""

    def select(self, query: Query, progress: Progress) -> Selected:
        """All that match now: what is counted and shown is then what is acted on."""

    def classes(self) -> tuple[ClassRecord, ...]:
        """The classes that live workers know."""

    def check(self, new: NewJob) -> dict[str, str]:
        """What is wrong with each field of a form, by its name, as far as that is known at once."""

    def plan(self, new: NewJob) -> PlannedJob:
        """What a form that `check` finds right would enqueue, by the class's own methods."""

    def enqueue(self, new: NewJob) -> JobRecord | None:
        """Enqueues it. None where an unfinished job holds the unique key."""

    def act(self, verb: str, selected: Selected, progress: Progress, selection: str | None) -> Report:
        """Retries, cancels or purges jobs, at the attempts that were seen; says why it left the rest."""

    def failures(self, seconds: float) -> tuple[FailureGroup, ...]:
        """What failed in a period that long, in groups of what is alike."""

    def why(self, job_id: int) -> Why:
        """Why a job is where it is."""

    def audit(self) -> tuple[ActRecord, ...]:
        """What operators did, the latest first."""

    def acts_on(self, job_id: int, since: datetime) -> JobActs:
        """What operators did to a job that was first heard of at `since`."""

    def undo(self, act_id: int | None) -> Report:
        """Takes an act back, or the last one of this person's that can be."""

    def schedules(self) -> tuple[ScheduleRecord, ...]:
        """Every schedule with its last runs."""

    def preview(self, hours: float) -> tuple[Preview, ...]:
        """The ticks that will come."""

    def act_on_queues(self, verb: str, names: Iterable[str], reason: str | None = None) -> NamedReport:
        """Pauses queues, for a reason, or resumes them."""

    def act_on_failures(self, verb: str, groups: Iterable[str]) -> NamedReport:
        """Mutes groups of failures for a day, for everybody, or unmutes them."""

    def stack(self, job_id: int, attempt: int) -> Stack:
        """What an attempt is doing at this moment. Raises NotRunning."""

    def act_on_schedules(self, verb: str, names: Iterable[str]) -> NamedReport:
        """Runs, pauses or resumes schedules."""

    def act_on_workers(self, verb: str, numbers: Iterable[str]) -> NamedReport:
        """Asks workers to stop, or declares them dead; by their own numbers, since a name may come again."""

    def migrate(self) -> None:
        """Brings the schema up to date."""

    def reset(self) -> None:
        """Forgets broken connections, so that the next question finds out at once whether the database is back."""
