"""The mark of what a silent worker holds: it counts as running, and nobody knows whether it does."""

from rich.text import Text

from jobq.records import JobRecord, WorkerRecord
from jobq.states import State

from .. import formats, theme
from ..source import Snapshot
from ..theme import Glyphs


def silent_worker(job: JobRecord, snapshot: Snapshot | None) -> WorkerRecord | None:
    """The worker that holds the job, where it has been silent for too long."""
    if snapshot is None or job.state != State.RUNNING:
        return None
    return next((one for one in snapshot.stats.workers if one.is_silent and one.name == job.worker), None)


def silence_text(worker: WorkerRecord, glyphs: Glyphs) -> Text:
    words = f"{glyphs.silent} worker silent {formats.age(worker.heartbeat_seconds)}"
    return Text(words, theme.style(theme.BAD, bold=True))


def worker_text(job: JobRecord, snapshot: Snapshot | None, glyphs: Glyphs) -> Text:
    """The worker's name, with a mark where it is silent."""
    if silent_worker(job, snapshot) is None:
        return Text(job.worker or "")
    return Text(f"{glyphs.silent} {job.worker}", theme.style(theme.BAD))
