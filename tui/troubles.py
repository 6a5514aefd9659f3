"""Where the console shows each need. `jobq/observe/needs.py` decides what needs somebody. Pure."""

from dataclasses import dataclass

from jobq import observe
from jobq.observe import Kind, Need
from jobq.records import QueueStats, WorkerRecord

from . import formats
from .samples import Samples
from .source import COUNT_LIMIT, Snapshot


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the console: a screen, the list on it, and a filter."""

    screen: str
    view: str = ""
    filter: str = ""
    is_typing: bool = False  # the place is a filter that is about to be typed


@dataclass(frozen=True, slots=True)
class Trouble:
    """One need, with its glyph and its place."""

    need: Need
    glyph: str  # its name
    place: Place

    @property
    def key(self) -> str:
        return self.need.key

    @property
    def text(self) -> str:
        """With the last part of the class name, since there is little room."""
        name, text = self.need.name, self.need.text
        if self.need.kind in (Kind.LOST, Kind.FAILED) and text.startswith(name):
            return formats.class_name(name) + text.removeprefix(name)
        return text


GLYPHS = {
    Kind.STRANDED: "silent",
    Kind.DEAD_WORKER: "silent",
    Kind.SILENT_WORKER: "silent",
    Kind.PAUSED: "paused",
    Kind.GATE_PAUSED: "paused",
    Kind.UNKNOWN_CLASS: "unknown",
}
"""Glyphs of the kinds that have their own."""


def troubles(snapshot: Snapshot, samples: Samples, period: str) -> tuple[Trouble, ...]:
    """All needs, the worst first."""
    found = observe.needs(
        observe.facts_of(
            snapshot.stats,
            snapshot.failing,
            snapshot.stuck,
            since=period,
            growth=growths(snapshot, samples),
            count_limit=COUNT_LIMIT,
        )
    )
    return tuple(Trouble(need, GLYPHS.get(need.kind, "trouble"), Place(*observe.place_of_need(need))) for need in found)


def growths(snapshot: Snapshot, samples: Samples) -> dict[str, float]:
    """The growth of each queue, if known: as the console saw it, else as recorded in the period."""
    seen = {queue.name: samples.growth_per_minute(queue.name) for queue in snapshot.stats.queues}
    return observe.growths(snapshot.period) | {name: growth for name, growth in seen.items() if growth is not None}


def workers_of(queue: QueueStats, snapshot: Snapshot | None) -> list[WorkerRecord]:
    """The live workers of a queue."""
    workers = snapshot.stats.workers if snapshot is not None else ()
    return observe.workers_of(queue, tuple(worker for worker in workers if not worker.is_silent))
