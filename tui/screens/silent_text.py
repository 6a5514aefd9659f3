"""The mark of a silent worker's jobs: they count as running, but may not be."""

from rich.text import Text

from jobq.records import JobRecord, WorkerRecord
from jobq.states import State

from .. import formats, theme
from ..source import Snapshot
from ..theme import Glyphs


def silent_worker(job: JobRecord, snapshot: Snapshot | None) -> WorkerRecord | None:
    """The worker that has the job, if it is silent."""
    if snapshot is None or job.state != State.RUNNING:
        return None
    return next((one for one in snapshot.stats.workers if one.is_silent and one.name == job.worker), None)


def silence_text(worker: WorkerRecord, glyphs: Glyphs) -> Text:
    words = f"{glyphs.silent} worker silent {formats.age(worker.heartbeat_seconds)}"
    return Text(words, theme.style(theme.BAD, bold=True))


def worker_text(job: JobRecord, snapshot: Snapshot | None, glyphs: Glyphs) -> Text:
    """The worker's name, with a mark if it is silent."""
    if silent_worker(job, snapshot) is None:
        return Text(job.worker or "")
    return Text(f"{glyphs.silent} {job.worker}", theme.style(theme.BAD))
