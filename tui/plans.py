"""The description of an act before it is done: which jobs, and its effects in named lines. Pure."""

from dataclasses import dataclass

from jobq.observe import Selected
from jobq.records import JobRecord

from . import formats
from .access import Target
from .actions import Act, Tier
from .scope import Scope
from .source import Snapshot
from .undoing import prospect

SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """An act before it is done: the number of its jobs, and its effects in named lines."""

    verb: str
    title: str
    lines: tuple[tuple[str, str], ...]
    number: int
    tier: Tier
    is_bad: bool = False  # it cannot be undone, or it is on production
    asks_reason: bool = False  # a reason may be typed


def plan_for_jobs(
    act: Act, selected: Selected, scope: Scope, tier: Tier, target: Target, snapshot: Snapshot | None, undo_key: str
) -> Plan:
    """An act on jobs that were counted."""
    number = len(selected.ids)
    where = f" on PROD {target.name}" if target.is_production else ""
    what = class_lines(selected) if scope.about is None else [("what", scope.about)]
    lines = [*which_lines(selected, scope), *what]
    lines.append(("effect", act.effect))
    if act.is_work and (work := work_words(selected, snapshot)) is not None:
        lines.append(("work", work))
    lines.append(("undo", prospect(act, scope, undo_key)))
    title = f"{act.verb.capitalize()} {formats.plural(number, 'job')}{where}"
    return Plan(act.verb, title, tuple(lines), number, tier, target.is_production or act.undo is None)


def which_lines(selected: Selected, scope: Scope) -> list[tuple[str, str]]:
    number = len(selected.ids)
    if scope.query is not None:
        shown = [f"every match of {scope.query}"]
        seen = len({job.id for job in scope.jobs}.intersection(selected.ids))
        if scope.jobs and seen < number:
            shown.append(f"{formats.count(seen)} on the screen, the other {formats.count(number - seen)} not")
        shown.append(f"as counted now, up to #{max(selected.ids)}: what comes later is not touched")
    else:
        loaded = {job.id: job for job in scope.jobs}
        shown = [f"#{job_id}  {named(loaded.get(job_id))}" for job_id in selected.ids[:SAMPLES]]
        if number > SAMPLES:
            shown.append(f"and {formats.count(number - SAMPLES)} more")
    return [("which" if not place else "", words) for place, words in enumerate(shown)]


def named(job: JobRecord | None) -> str:
    return "not loaded here" if job is None else f"{job.job_class}  {formats.arguments(job.arguments, 60)}"


def class_lines(selected: Selected) -> list[tuple[str, str]]:
    """The number of jobs of each class, unless all jobs are shown."""
    classes, number = selected.classes, len(selected.ids)
    if number <= SAMPLES:
        return []
    named = classes if len(classes) == SAMPLES + 1 else classes[:SAMPLES]
    shown = [f"{formats.count(count)} {name}" for name, count in named]
    if others := classes[len(named) :]:
        total = sum(count for _, count in others)
        shown.append(f"{formats.count(total)} of {formats.plural(len(others), 'other class')}")
    if unknown := number - sum(count for _, count in classes):
        shown.append(f"{formats.count(unknown)} not loaded here")
    return [("class" if not place else "", words) for place, words in enumerate(shown)]


def work_words(selected: Selected, snapshot: Snapshot | None) -> str | None:
    """How long the live workers will need for these jobs, judged by recent attempts of their classes.

    None if a class has no recent attempts, or if there are no workers.
    """
    if snapshot is None:
        return None
    means = {one.name: one.mean_run for one in snapshot.period.classes}
    takes = [means.get(name) for name, _ in selected.classes]
    known = [seconds for seconds in takes if seconds is not None]
    processes = sum(one.processes for one in snapshot.stats.workers if not one.is_silent)
    counts = [number for _, number in selected.classes]
    if len(known) < len(takes) or sum(counts) < len(selected.ids) or not processes:
        return None
    total = sum(number * seconds for number, seconds in zip(counts, known, strict=True))
    busy = max(total / processes, max(known))
    for_all = f"{formats.duration(busy)} or more for {formats.plural(processes, 'process')}"
    return f"about {formats.duration(total)} of run time: {for_all}"
