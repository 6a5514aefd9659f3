"""The figures of queues, classes and running jobs, as screens show them. Pure."""

from datetime import UTC, datetime

from rich.text import Text

from jobq.commands import term
from jobq.observe import FRONT_LIMIT, Figures, Period, QueueFlow
from jobq.records import JobRecord, QueueStats

from .. import formats, theme
from ..samples import Samples
from ..source import COUNT_LIMIT, Snapshot
from ..troubles import growths, workers_of
from .silent_text import silent_worker

MAX_TREND = 60
"""Maximum cells of a trend."""


def empty_in(queue: QueueStats, samples: Samples, snapshot: Snapshot | None, none: str) -> tuple[str, str]:
    """When a queue will be empty at its current rate, as a word and a colour. A dash if that is unknown.

    Jobs of classes that no worker knows are left out: they stay, however fast the others run.
    """
    if queue.paused:
        return "paused", theme.WAIT
    if not queue.pending or snapshot is None:
        return none, theme.DIM
    if not workers_of(queue, snapshot):
        return "no worker", theme.BAD
    pending, growth = workable(queue, snapshot), growth_of(queue, samples, snapshot)
    if pending == 0:
        return "never", theme.BAD
    if growth is None:
        return none, theme.DIM
    if growth > 0:
        return "growing", theme.BAD
    if growth == 0:
        return "steady", theme.TEXT
    return (none, theme.DIM) if pending is None else (formats.duration(pending / -growth * 60), theme.GOOD)


def workable(queue: QueueStats, snapshot: Snapshot) -> int | None:
    """Pending jobs that some worker can run. For a queue too long to count: its count of the last minute. None if there
    is no such count, or if the jobs of unknown classes may be more than were counted."""
    unknown = sum(
        count
        for one in snapshot.stats.unknown_classes
        for name, count in zip(one.queues, one.counts, strict=False)
        if name == queue.name
    )
    pending: int | None = queue.pending
    if queue.pending >= COUNT_LIMIT:
        flow, is_more_scheduled = flow_of(snapshot, queue.name), "scheduled" in snapshot.stats.estimated
        unfinished = None if flow is None or is_more_scheduled else flow.unfinished
        pending = None if unfinished is None else max(0, unfinished - queue.scheduled - queue.running)
    if pending is None or (unknown and pending > FRONT_LIMIT):
        return None
    return max(0, pending - unknown)


def trend(queue: QueueStats, samples: Samples, width: int, glyphs: theme.Glyphs) -> Text:
    """The pending jobs of a queue since the console was opened, between the minimum and the maximum."""
    values = samples.waiting(queue.name, min(width, MAX_TREND))
    least, most = min(values, default=0.0), max(values, default=0.0)
    if most == 0:
        return Text("·" * len(values), theme.style(theme.FAINT))
    floor = least if most - least > most / 50 else 0.0
    levels = "".join(glyphs.blocks[1 + round((value - floor) / (most - floor) * 7)] for value in values)
    return Text(levels, theme.style(theme.DIM))


def trend_words(samples: Samples) -> Text:
    """The time that the trends cover."""
    if samples.span is None:
        return Text("")
    since, until = samples.span
    return Text(f"trend {formats.minute(since)} to {formats.minute(until)} ", theme.style(theme.DIM))


def ended_filter(job_class: str, since: datetime | None) -> str:
    """Selects the jobs that a class's row counts: those that ended since the period began, at a whole minute."""
    chosen = term("class", job_class)
    return chosen if since is None else f"{chosen} since:{since.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def p95(seconds: float | None, few: int | None, none: str) -> str:
    """A 95th percentile. With few attempts it would be the maximum: then the cell has their number, and MAX the
    value."""
    return formats.duration(seconds, none) if few is None else f"of {few}"


def figures_of(snapshot: Snapshot | None, queue: str) -> Figures | None:
    """What ended in one queue in the period."""
    return next((one for one in snapshot.period.queues if one.name == queue), None) if snapshot else None


def usual_of(job_class: str, snapshot: Snapshot | None) -> Figures | None:
    """The usual run time of a class: the 95th percentile of the period, or the maximum of a few attempts. None if none
    ran."""
    classes = snapshot.period.classes if snapshot else ()
    return next((one for one in classes if one.name == job_class and one.longest_run is not None), None)


def elapsed_text(job: JobRecord, snapshot: Snapshot | None, now: datetime, glyphs: theme.Glyphs) -> Text:
    """The elapsed time of a running job, with a mark if it is unusual for its class, or if that is unknown."""
    word = formats.between(job.started_at, now, glyphs.none)
    if silent_worker(job, snapshot) is not None:
        return Text(f"{glyphs.silent} {word}", theme.style(theme.BAD))
    usual = usual_of(job.job_class, snapshot)
    seconds = usual.run(0.95) if usual else None
    if seconds is None or job.started_at is None or (now - job.started_at).total_seconds() <= seconds:
        return Text(word)
    return Text(f"{glyphs.late} {word}", theme.style(theme.BAD))


def usual_text(job: JobRecord, snapshot: Snapshot | None, glyphs: theme.Glyphs) -> Text:
    """The reference that `elapsed_text` compares with."""
    usual = usual_of(job.job_class, snapshot)
    if usual is None:
        return Text(glyphs.none, theme.style(theme.DIM))
    word = "p95" if usual.few_runs is None else f"max of {usual.few_runs}"
    return Text(f"{word} {formats.duration(usual.run(0.95))}", theme.style(theme.DIM))


def growth_of(queue: QueueStats, samples: Samples, snapshot: Snapshot | None) -> float | None:
    return growths(snapshot, samples).get(queue.name) if snapshot is not None else None


def flow_of(snapshot: Snapshot | None, queue: str) -> QueueFlow | None:
    """The jobs that came into a queue and left it, if known. None if it was not counted twice."""
    flows = snapshot.period.flows if snapshot is not None else ()
    return next((one for one in flows if one.name == queue and one.seconds > 0), None)


def ended_per_minute(period: Period) -> float | None:
    """For the last whole step, and the current one."""
    steps = period.steps[-2:]
    if not steps:
        return None
    began = min(step.at for step in steps)
    return sum(step.ended for step in steps) / max((period.until - began).total_seconds() / 60, 1 / 60)
