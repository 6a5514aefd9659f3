"""The source that reads from a database through `observe` and `operate`, and cleans every answer."""

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from jobq import filters, observe, operate
from jobq.clean import line
from jobq.errors import DatabaseReadOnly
from jobq.filters import Filter, Moment, Pattern
from jobq.observe import AttemptLog, FailureGroup, Forecast, Gated, Matches, Position, Preview, Selected, Why
from jobq.operate import Stack
from jobq.records import ActRecord, ClassRecord, JobActs, JobDetail, JobRecord, ScheduleRecord, Stats
from jobq.states import FINISHED

from . import search
from .access import Access, Target
from .cleaning import Names, SameJobs, cleaned
from .gate_acts import act_on_gate
from .known_values import KnownValues
from .ordering import Ordering
from .source import (
    COUNT_LIMIT,
    FIRST_SECONDS,
    MATCH_LIMIT,
    JobPage,
    NamedReport,
    NewJob,
    PlannedJob,
    Progress,
    Query,
    Report,
    Snapshot,
    View,
)

Shown = TypeVar("Shown")

OUTCOME_LIMIT = 1000
"""A look counts ended jobs up to this number: a screen needs to know only whether the history is long."""

FIGURES_EVERY = 10.0
FIGURES_SHARE = 1 / 1440
"""Figures of a long period are read again after this part of it has passed: they cost more, and change less."""

NAMES_EVERY = 30.0
"""Seconds between two reads of the current names of classes."""

RIGHTS_EVERY = 60.0
"""Seconds between two checks of the role's rights, as somebody may grant them while the console is open."""

RUNNING_LIMIT = 100
GROUPS_LIMIT = 50
FAILURES_LIMIT = 200
AUDIT_LIMIT = 200
LEARN_LIMIT = 200

STACK_SECONDS = 5.0

ACTS_ON_QUEUES: dict[str, tuple[Callable[..., list[str]], str, str]] = {
    "pause": (operate.pause_queues, "paused", "it was paused already"),
    "resume": (operate.resume_queues, "resumed", "it is not paused"),
}

ACTS_ON_FAILURES: dict[str, tuple[Callable[..., list[str]], str, str]] = {
    "mute": (operate.mute_failures, "muted", "the history has it no more"),
    "unmute": (operate.unmute_failures, "unmuted", "it is not muted"),
}

ACTS_ON_SCHEDULES = {
    "run": (operate.run_schedule, "enqueued"),
    "pause": (operate.pause_schedule, "paused"),
    "resume": (operate.resume_schedule, "resumed"),
}

ACTS_ON_WORKERS = {
    "stop": (operate.stop_workers, "asked to stop:"),
    "declare dead": (operate.declare_dead, "declared dead:"),
}

OPERATIONS = {"retry": operate.retry, "cancel": operate.cancel, "purge": operate.purge}


@dataclass(frozen=True, slots=True)
class Kept:
    """Figures of a period of this length, and when they were read."""

    seconds: float
    read_at: float
    value: Any


class LiveSource:
    abilities: frozenset[str] = frozenset({"schedules"})
    badge = ""

    def __init__(self, database: Any, target: Target, migrate: Callable[[], object]) -> None:
        self.target = target
        self.access = Access(target)
        self._forbidden: tuple[float, dict[str, str]] | None = None
        self._database = database
        self._migrate = migrate
        self._raw: dict[str, str] = {}  # original names of those that are shown otherwise
        self.ordering = Ordering(database, self._raw)
        self._seen = KnownValues()
        self._kept: dict[str, Kept] = {}
        self._running, self._page = SameJobs(), SameJobs()
        self._ahead: Future[Snapshot] | None = None
        self._names: Names = {}
        self._following: operate.Following | None = None
        self._following_lock = threading.Lock()
        self._names_at = -math.inf  # when they were read

    def look_ahead(self, seconds: float = FIRST_SECONDS) -> None:
        """Starts the first look in a thread, so that the console can start Textual meanwhile."""
        ahead: Future[Snapshot] = Future()
        self._ahead = ahead

        def begin() -> None:
            try:
                ahead.set_result(self._look(seconds))
            except BaseException as error:  # noqa: BLE001 - raised again in the first look
                ahead.set_exception(error)

        threading.Thread(target=begin, name="jobq-tui-ahead", daemon=True).start()

    def look(self, seconds: float) -> Snapshot:
        if self._ahead is None:
            return self._look(seconds)
        ahead, self._ahead = self._ahead, None
        return ahead.result()

    def _look(self, seconds: float) -> Snapshot:
        began, database = monotonic(), self._database
        if began - self._names_at > NAMES_EVERY:
            self.classes()
        stats = observe.stats(database, count_limit=COUNT_LIMIT, outcome_limit=OUTCOME_LIMIT)
        running = observe.longest(database, limit=RUNNING_LIMIT)
        stuck = observe.stuck(database)
        last = self._kept.get("period")
        period = self._figures("period", seconds, lambda: observe.figures(database, Moment(seconds)))
        failing = self._figures(
            "groups",
            seconds,
            lambda: observe.failing(database, Moment(seconds), limit=GROUPS_LIMIT, has_steps=False),
            may_wait=self._kept["period"] is not last,  # one look must not take as long as both
        )
        self._remember(stats, running)
        forbidden = self._forbidden
        if forbidden is None or began - forbidden[0] > RIGHTS_EVERY:
            refusals = operate.refusals(self._database)
            forbidden = self._forbidden = (monotonic(), {verb: line(why) for verb, why in refusals.items()})
        undo_off = None if self._may_not_undo else operate.why_nothing(database)
        shown, took = self._running.cleaned(running, self._names), monotonic() - began
        coming = self._forecasts(seconds, may_wait=self._kept["period"] is not last)
        return Snapshot(
            cleaned(stats), shown, failing, period, took, forbidden[1], cleaned(stuck), coming, undo_off=undo_off
        )

    def _forecasts(self, seconds: float, *, may_wait: bool) -> tuple[Forecast, ...]:
        """Not with the first look, which somebody waits for."""
        if may_wait and "forecasts" not in self._kept:
            return ()
        return self._figures("forecasts", seconds, lambda: observe.forecasts(self._database), may_wait=may_wait)

    def failures(self, seconds: float) -> tuple[FailureGroup, ...]:
        return self._figures(
            "failures", seconds, lambda: observe.failures(self._database, Moment(seconds), limit=FAILURES_LIMIT)
        )

    def _figures(self, name: str, seconds: float, read: Callable[[], Shown], *, may_wait: bool = False) -> Shown:
        """The stored figures of this period. They are read again if the period changed, or if they are old and may not
        wait."""
        kept = self._kept.get(name)
        is_old = kept is not None and monotonic() - kept.read_at > max(FIGURES_EVERY, seconds * FIGURES_SHARE)
        if kept is None or kept.seconds != seconds or (is_old and not may_wait):
            kept = self._kept[name] = Kept(seconds, monotonic(), self._shown(read()))
        return kept.value  # type: ignore[no-any-return]  # what was read under this name

    def why(self, job_id: int) -> Why:
        return self._shown(observe.why(self._database, job_id))

    def audit(self) -> tuple[ActRecord, ...]:
        acts = observe.audit(self._database, limit=AUDIT_LIMIT)
        remaining = {} if self._may_not_undo else operate.remaining(self._database)
        return cleaned(tuple(replace(act, remaining=remaining.get(act.id, 0)) for act in acts))

    @property
    def _may_not_undo(self) -> bool:
        """A role without the right to undo cannot read what undo needs either."""
        return "undo" in (self._forbidden[1] if self._forbidden else {})

    def acts_on(self, job_id: int, since: datetime) -> JobActs:
        return cleaned(observe.acts_on(self._database, job_id, since=since))

    def undo(self, act_id: int | None) -> Report:
        self._require_writing()
        act, acted = operate.undo(self._database, act_id)
        self._kept.clear()
        return replace(report_of(f"undo {line(act.verb)}", acted), names=tuple(map(line, act.names)))

    def query(self, view: View, text: str) -> Query:
        query = search.query(view, text)
        return query if query.meaning is None else replace(query, meaning=self._meant(query.meaning))

    def _meant(self, chosen: Filter) -> Filter:
        """With original names, where the shown names differ."""
        return replace(
            chosen, terms=tuple(replace(term, values=tuple(map(self._value, term.values))) for term in chosen.terms)
        )

    def _value(self, value: Any) -> Any:
        return Pattern((self._raw[value.text],)) if isinstance(value, Pattern) and value.text in self._raw else value

    def suggestions(self, text: str) -> list[str]:
        return search.suggestions(text, self._seen)

    def learn(self, job_class: str) -> None:
        self.classes()
        for name in ("groups", "failures"):
            kept = self._kept.get(name)
            self._seen.add_groups(getattr(kept.value, "groups", kept.value) if kept is not None else ())
        of_class = filters.of("class", self._raw.get(job_class, job_class)) if job_class else Filter()
        for chosen in (of_class, filters.of("state", FINISHED) + of_class):
            self._seen.add_jobs(self._shown(observe.search(self._database, chosen, limit=LEARN_LIMIT).jobs))

    def jobs(self, query: Query, *, limit: int, after: Position | None) -> JobPage:
        if query.barred:
            return JobPage((), None)
        if query.order is not None:
            order = observe.Order(*query.order)
            page = observe.sorted_page(self._database, query.meaning, order, limit=limit, after=after)
        else:
            page = observe.search(self._database, query.meaning, limit=limit, after=after)
        self._remember(None, page.jobs)
        slow = tuple(line(term) for term in page.slow)
        return JobPage(self._page.cleaned(page.jobs, self._names), page.next, slow, page.looked, page.sorted)

    def among(self, query: Query, jobs: Sequence[JobRecord]) -> tuple[JobRecord, ...]:
        if query.barred:
            return ()
        found = observe.among(self._database, query.meaning, [(job.id, job.ended_at) for job in jobs])
        return self._page.cleaned(found, self._names)

    def matches(self, query: Query) -> Matches:
        if query.barred:
            return Matches(0)
        return observe.matches(self._database, query.meaning, limit=MATCH_LIMIT)

    def job(self, job_id: int) -> JobDetail:
        return self._shown(observe.show(self._database, job_id))

    def select(self, query: Query, progress: Progress) -> Selected:
        if query.barred:
            return Selected((), ())
        selected = observe.select(self._database, query.meaning, progress=progress)
        return replace(selected, classes=self._renamed(selected.classes))  # there may be millions of ids

    def classes(self) -> tuple[ClassRecord, ...]:
        found = observe.classes(self._database)
        shown = tuple(cleaned(record) for record in found)
        self.ordering.known = {clean.name: record for clean, record in zip(shown, found, strict=True)}
        self._seen.add_classes(shown)
        self._names = {one.stored_name: one.name for one in found if one.aliases}
        self._names_at = monotonic()
        return shown

    def stored_name(self, job_class: str) -> str:
        return next((stored for stored, name in self._names.items() if name == job_class), job_class)

    def _shown(self, value: Shown) -> Shown:
        """Cleaned, with the current names of classes."""
        return cleaned(value, names=self._names)

    def _renamed(self, classes: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return cleaned(tuple((self._names.get(name, name), number) for name, number in classes))

    def check(self, new: NewJob) -> dict[str, str]:
        return self.ordering.check(new)

    def plan(self, new: NewJob) -> PlannedJob:
        return self.ordering.plan(new)

    def enqueue(self, new: NewJob) -> JobRecord | None:
        self._require_writing()
        return self._shown(self.ordering.enqueue(new))

    def act(self, verb: str, selected: Selected, progress: Progress, selection: str | None) -> Report:
        self._require_writing()
        acted = OPERATIONS[verb](
            self._database, selected.ids, selection=selection, progress=progress, seen=selected.seen
        )
        self._kept.clear()  # the failures at rest have changed
        return report_of(verb, acted)

    def schedules(self) -> tuple[ScheduleRecord, ...]:
        found = observe.schedules(self._database)
        self._raw.update({line(record.name): record.name for record in found if line(record.name) != record.name})
        return tuple(self._shown(record) for record in found)

    def preview(self, hours: float) -> tuple[Preview, ...]:
        return tuple(self._shown(tick) for tick in observe.preview(self._database, timedelta(hours=hours)))

    def act_on_failures(self, verb: str, groups: Iterable[str]) -> NamedReport:
        return self._act_on_named(verb, ACTS_ON_FAILURES[verb], groups)

    def gate(self, name: str) -> Gated:
        return self._shown(observe.gate(self._database, self._raw.get(name, name)))

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
        self._require_writing()
        name, place = self._raw.get(gate, gate), None if lane is None else self._raw.get(lane, lane)
        return act_on_gate(self._database, verb, name, place, limit=limit, seconds=seconds, reason=reason)

    def act_on_queues(self, verb: str, names: Iterable[str], reason: str | None = None) -> NamedReport:
        given = {"reason": reason} if verb == "pause" else {}
        return self._act_on_named(verb, ACTS_ON_QUEUES[verb], names, **given)

    def _act_on_named(
        self, verb: str, act: tuple[Callable[..., list[str]], str, str], names: Iterable[str], **given: Any
    ) -> NamedReport:
        self._require_writing()
        operation, words, why_not = act
        wanted = [self._raw.get(name, name) for name in names]
        done = operation(self._database, wanted, **given)
        skipped = {line(name): why_not for name in wanted if name not in done}
        self._kept.clear()
        return NamedReport(words, tuple(map(line, done)), skipped, {}, undoable(verb, done))

    def stack(self, job_id: int, attempt: int) -> Stack:
        return cleaned(operate.stack(self._database, job_id, timeout=STACK_SECONDS, attempt=attempt))

    def log(self, job_id: int, attempt: int | None, is_followed: bool) -> AttemptLog:
        if is_followed and self.access.why_not() is None:
            self._follow(job_id)
        return cleaned(observe.last_lines(self._database, job_id, attempt), names=self._names)

    def _follow(self, job_id: int) -> None:
        """One job at a time. Where nobody looks any more, it ends by itself."""
        with self._following_lock:
            if self._following is None or self._following.job_id != job_id:
                if self._following is not None:
                    self._following.end()
                self._following = operate.Following(self._database, job_id=job_id)
            self._following.keep_up()

    def act_on_schedules(self, verb: str, names: Iterable[str]) -> NamedReport:
        self._require_writing()
        operation, words = ACTS_ON_SCHEDULES[verb]
        acted = operation(self._database, [self._raw.get(name, name) for name in names])
        return NamedReport(
            words,
            tuple(line(name) for name in acted.done),
            {line(name): line(why) for name, why in acted.skipped.items()},
            {line(name): job for name, job in acted.jobs.items()},
            undoable(f"{verb} schedule", acted.done),
        )

    def act_on_workers(self, verb: str, numbers: Iterable[str]) -> NamedReport:
        self._require_writing()
        operation, words = ACTS_ON_WORKERS[verb]
        acted = operation(self._database, numbers)
        skipped = {line(name): line(why) for name, why in acted.skipped.items()}
        return NamedReport(words, tuple(map(line, acted.done)), skipped, {})

    def migrate(self) -> None:
        self._require_writing()
        self._migrate()

    def reset(self) -> None:
        self._forbidden = None
        self._database.close()

    def _require_writing(self) -> None:
        """The last check before anything is changed, whatever a screen did."""
        if (why := self.access.why_not()) is not None:
            raise DatabaseReadOnly(f"{why[0].upper()}{why[1:]}.")

    def _remember(self, stats: Stats | None, jobs: Iterable[JobRecord]) -> None:
        """Maps shown names to original ones in a filter, and suggests values."""
        self._seen.add_workers(cleaned(stats.workers) if stats is not None else ())
        queues = {job.queue for job in jobs} | {queue.name for queue in (stats.queues if stats else ())}
        classes = {job.job_class for job in jobs} | {one.job_class for one in (stats.unknown_classes if stats else ())}
        gates = {gate.name for gate in (stats.gates if stats else ())}
        for kind, names in (("queue", queues), ("class", classes), ("gate", gates)):
            for name in names:
                shown = line(name)
                self._seen.add(kind, [shown])
                if shown != name:
                    self._raw[shown] = name


def report_of(verb: str, acted: operate.Acted) -> Report:
    skipped = {job_id: line(why) for job_id, why in acted.skipped.items()}
    asked = tuple(acted.asked)
    return Report(verb, tuple(acted.done), skipped, asked=asked, undoable=undoable(verb, acted.done))


def undoable(verb: str, done: Sequence[Any]) -> int:
    """How many items of an act can be undone."""
    return len(done) if verb in operate.UNDOABLE else 0
