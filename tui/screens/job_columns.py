"""The columns of the lists of jobs: those of each list, and the text of their cells."""

from collections.abc import Callable

from rich.text import Text

from jobq.records import JobRecord
from jobq.states import FINISHED, State

from .. import formats, theme
from ..context import Context
from ..source import View
from ..widgets.rows import Column
from .base import is_bad, state_text
from .figures_text import elapsed_text, usual_text
from .job_text import error_of, progress_text
from .silent_text import silence_text, silent_worker, worker_text

ORDERS = {
    "ID": "id", "CLASS": "class", "QUEUE": "queue", "PRIO": "priority", "TRY": "attempt", "DUE": "run_at",
    "WAITS": "run_at", "ELAPSED": "started_at", "WORKER": "worker", "ENDED": "ended_at", "RAN": "ran",
    "OUTCOME": "outcome",
}  # fmt: skip
"""For each title, the database's order."""


class JobColumns:
    def __init__(self, console: Context, is_wide: Callable[[], bool]) -> None:
        self._console = console
        self._glyphs = console.glyphs
        self._is_wide = is_wide

    def shown(self, view: View) -> list[Column]:
        """The columns of a list that this person has not hidden."""
        hidden = self._console.preferences.hidden.get(view.name, ())
        return [column for column in self.of(view) if column.is_fixed or column.title not in hidden]

    def of(self, view: View) -> list[Column]:
        """The columns of each list."""
        if view.which == State.RUNNING:
            return self._running()
        return self._finished(view) if view.which == FINISHED else self._waiting(view)

    def _waiting(self, view: View) -> list[Column]:
        priority = Column("PRIO", lambda job: str(job.priority), right=True, least=96, order=lambda job: job.priority)
        title = "DUE" if view.which == State.SCHEDULED else "WAITS"
        due = Column(title, self._due, right=True, order=lambda job: job.run_at)
        matter = Column("ARGUMENTS, LAST ERROR", self._matter, is_rest=True)
        return [self._number(), self._class(), self._queue(60), priority, self._tries(), due, matter]

    def _running(self) -> list[Column]:
        elapsed = Column("ELAPSED", self._elapsed, right=True, order=lambda job: job.started_at)
        usual = Column("USUAL", self._usual, right=True, least=72)
        worker = Column("WORKER", self._worker, most=24, least=96, order=lambda job: job.worker)
        progress = Column("PROGRESS", self._progress, most=24, least=80)
        matter = Column("ARGUMENTS", self._matter, is_rest=True, least=96)
        common = [self._number(), self._class(), self._queue(60), self._tries()]
        return [*common, elapsed, usual, progress, worker, matter]

    def _finished(self, view: View) -> list[Column]:
        ended = Column("ENDED", self._ended, right=True, order=lambda job: job.ended_at)
        ran = Column("RAN", self._ran, right=True, order=run_seconds)
        outcome = [Column("OUTCOME", self._outcome, order=lambda job: job.outcome)] if not view.outcome else []
        title = "ERROR" if is_bad(view.outcome) else "ERROR, ARGUMENTS"
        matter = Column(title, self._matter, is_rest=True)
        return [self._number(), *outcome, self._class(), self._queue(90), self._tries(), ended, ran, matter]

    # Columns of every list

    def _number(self) -> Column:
        return Column("ID", lambda job: str(job.id), right=True, order=lambda job: job.id, is_fixed=True)

    def _class(self) -> Column:
        return Column("CLASS", self._class_name, most=34, order=lambda job: job.job_class)

    def _queue(self, least: int) -> Column:
        return Column("QUEUE", lambda job: job.queue, most=16, least=least, order=lambda job: job.queue)

    def _tries(self) -> Column:
        def tries(job: JobRecord) -> str:
            return f"{job.attempt}/{max(job.retries + 1, job.attempt)}"

        return Column("TRY", tries, right=True, order=lambda job: job.attempt)

    # Cells

    def _class_name(self, job: JobRecord) -> str:
        """Without the module, where there is little room."""
        return formats.class_name(job.job_class, is_wide=self._is_wide())

    def _matter(self, job: JobRecord) -> Text:
        """What distinguishes jobs from each other: the error, else the arguments."""
        if job.error_type and job.outcome != "successful":
            return Text.assemble((error_of(job), theme.style(theme.BAD if job.outcome else theme.WAIT)))
        return Text(formats.arguments(job.arguments), theme.style(theme.DIM))

    def _outcome(self, job: JobRecord) -> Text:
        return state_text(self._glyphs, job.state, job.outcome)

    def _elapsed(self, job: JobRecord) -> Text:
        return elapsed_text(job, self._console.state.snapshot, self._console.state.now, self._glyphs)

    def _usual(self, job: JobRecord) -> Text:
        return usual_text(job, self._console.state.snapshot, self._glyphs)

    def _worker(self, job: JobRecord) -> Text:
        return worker_text(job, self._console.state.snapshot, self._glyphs)

    def _progress(self, job: JobRecord) -> Text:
        """The most important fact: whether its worker is silent, and whether it was asked to end."""
        if (worker := silent_worker(job, self._console.state.snapshot)) is not None:
            return silence_text(worker, self._glyphs)
        if job.cancel_requested_at is not None:
            return Text("asked to end", theme.style(theme.WAIT))
        return progress_text(job, self._glyphs) if job.progress is not None else Text("")

    def _due(self, job: JobRecord) -> str:
        return formats.due(job.run_at, self._console.state.now)

    def _ended(self, job: JobRecord) -> str:
        return formats.since(job.ended_at, self._console.state.now)

    def _ran(self, job: JobRecord) -> str:
        return formats.between(job.started_at, job.ended_at, self._glyphs.none)


def run_seconds(job: JobRecord) -> float | None:
    return (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else None
