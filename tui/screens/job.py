"""One job: its history, attempt by attempt, and the evidence."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal

from jobq.observe import AttemptLog, Usage, Why, first_enqueued_at, usage_of
from jobq.records import AttemptRecord, JobActs, JobDetail, JobRecord
from jobq.states import FINISHED, State

from .. import formats, theme
from ..actions import Action, bindings
from ..messages import Refused
from ..scope import Scope
from ..source import Report, Source
from ..widgets.frame import Line
from ..widgets.lines import Lines
from .job_page_text import SECTIONS, evidence, place_text, sections_text, title_text
from .job_screen import JobScreen
from .job_timeline import Timeline
from .log_text import log_lines
from .silent_text import silent_worker
from .why import reasons

LOG_SECONDS = 0.5
"""While a job runs whose log is shown, its lines are asked for so often."""


class JobPage(JobScreen):
    NAME = "jobs"
    WORDS = "A job"
    MAIN = "lines"
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "back", "retry", "cancel", "edit", "purge", "why", "stack", "log", "copy", "fold", "section", "older",
        "newer",
        "previous", "next", "undo", "enqueue",
    )  # fmt: skip
    BINDINGS: ClassVar[list[Any]] = [
        *bindings(
            "back",
            "retry",
            "cancel",
            "edit",
            "purge",
            "why",
            "copy",
            "fold",
            "section",
            "older",
            "newer",
            "previous",
            "next",
            "stack",
            "log",
        ),
        Binding("backspace", "back", show=False),
    ]

    def __init__(self, job_id: int, ids: tuple[int, ...], section: str = "") -> None:
        super().__init__()
        self.job_id = job_id
        self.ids = ids
        self.detail: JobDetail | None = None
        self.acts: JobActs | None = None
        self.why: Why | None = None
        self.problem = ""
        self.attempt_log: AttemptLog | None = None
        self.section = SECTIONS.index(section) if section else 0
        self.attempt: int | None = None  # index of the attempt; None: the last
        self.is_folded = True

    def body(self) -> ComposeResult:
        yield Line(id="title")
        yield Lines(id="facts")
        yield Line(id="sections")
        with Horizontal(id="evidence"):
            yield Lines(id="lines")
            yield Lines(id="beside")

    def on_mount(self) -> None:
        self.query_one("#lines").focus()
        self._ask()
        if self.console.feed.pace is not None:
            self.set_interval(LOG_SECONDS, self._ask_running_log)

    @property
    def job(self) -> JobRecord | None:
        return self.detail.job if self.detail is not None else None

    @property
    def job_detail(self) -> JobDetail | None:
        return self.detail

    @property
    def scope(self) -> Scope:
        return Scope((self.job.id,), jobs=(self.job,)) if self.job is not None else Scope()

    @property
    def shown_text(self) -> str:
        detail = self.detail
        return "" if detail is None else "\n".join(line.plain for line in self._lines(detail))

    @property
    def shown_attempt(self) -> AttemptRecord | None:
        detail = self.detail
        return detail.attempts[self._attempt_place(detail)] if detail is not None and detail.attempts else None

    # Reading

    def looked(self) -> None:
        if self.detail is None or self.detail.job.state != FINISHED:
            self._ask()
            self._ask_section(is_again=True)

    def acted(self, report: Report) -> None:
        self._ask()
        self._ask_section()
        self._ask_acts()

    def _ask(self) -> None:
        job_id = self.job_id
        self.console.feed.ask(self, "job", lambda source: source.job(job_id))

    def _ask_section(self, *, is_again: bool = False) -> None:
        """Data of one section only is read when somebody opens that section."""
        if self.detail is not None and SECTIONS[self.section] == "Why":
            job_id = self.job_id
            self.console.feed.ask(self, "why", lambda source: source.why(job_id), is_again=is_again)
        self._ask_log(is_again=is_again)

    def _ask_log(self, *, is_again: bool = False) -> None:
        """The lines of the attempt that is shown; of one that runs, those that come."""
        if self.detail is not None and SECTIONS[self.section] == "Log":
            job_id, attempt, is_running = self.job_id, self._log_attempt(self.detail), self._is_running

            def ask(source: Source) -> AttemptLog:
                return source.log(job_id, attempt, is_running)

            self.console.feed.ask(self, "log", ask, is_again=is_again)

    def _ask_running_log(self) -> None:
        if self._is_running and not self.console.state.is_frozen:
            self._ask_log(is_again=True)

    @property
    def _is_running(self) -> bool:
        return self.job is not None and self.job.state == State.RUNNING

    def _log_attempt(self, detail: JobDetail) -> int | None:
        """None: the last that has lines, where nobody chose one and none runs."""
        if self.attempt is not None:
            return detail.attempts[self._attempt_place(detail)].attempt
        return detail.job.attempt if self._is_running else None

    def _ask_acts(self) -> None:
        """Operators act rarely: their acts are read after each act, and whenever the job has changed."""
        if self.detail is not None:
            job_id, since = self.job_id, first_enqueued_at(self.detail)
            self.console.feed.ask(self, "acts", lambda source: (job_id, source.acts_on(job_id, since)))

    def answered(self, name: str, value: Any) -> None:
        if name == "log":
            if value.job_id == self.job_id:
                self._take_log(value)
        elif name == "acts":
            if value[0] == self.job_id:
                self.acts = value[1]
                self.paint()
        elif value.job.id != self.job_id:
            return
        elif name == "why":
            self.why = value
            self.paint()
        else:
            self._take(value)

    def _take_log(self, log: AttemptLog) -> None:
        """Whoever is at its end stays there, as lines come."""
        is_first, self.attempt_log = self.attempt_log is None, log
        self.paint(keep_place=not is_first)

    def _take(self, detail: JobDetail) -> None:
        is_first = self.detail is None
        has_moved = standing_of(self.detail) != standing_of(detail)
        self.detail, self.problem = detail, ""
        if has_moved:
            self._ask_acts()
        if is_first:
            if self.section == 0 and not detail.attempts:  # nothing was chosen
                self.section = SECTIONS.index("Arguments" if detail.job.state == State.RUNNING else "Why")
            self._ask_section()
        self.paint(keep_place=not is_first)

    def on_refused(self, message: Refused) -> None:
        message.stop()
        message.prevent_default()
        if self.console.state.lost is None:
            self.problem = str(message.error)
            self.paint()

    # Drawing

    def paint(self, *, keep_place: bool = True) -> None:
        super().paint()
        if not self.is_mounted:
            return
        job, place = self.job, place_text(self.job_id, self.ids)
        title = Text(f" #{self.job_id}") if job is None else title_text(job, self.glyphs, self._usage)
        self.query_one("#title", Line).put(title, place)
        facts, lines = self.query_one("#facts", Lines), self.query_one("#lines", Lines)
        if self.detail is None:
            lines.put([Text(self.problem or f"looking{self.glyphs.more}", theme.style(theme.DIM))])
            return
        facts.put(self.timeline.facts(self.detail, self.acts))
        facts.styles.height = min(facts.length, 12 if self.app.size.height > 30 else 7)
        self.query_one("#sections", Line).update(self._sections(self.detail))
        is_end_first = SECTIONS[self.section] in ("Attempts", "Log")  # the end says what was wrong
        lines.put(self._lines(self.detail), keep_place=keep_place, is_end_first=is_end_first)
        self.query_one("#beside", Lines).put(self._beside(self.detail))
        self.paint_foot()

    @property
    def _usage(self) -> Usage | None:
        snapshot = self.console.state.snapshot
        if snapshot is None or self.job is None or self.job.state != State.RUNNING:
            return None
        return usage_of(self.job.id, snapshot.stats.workers)

    @property
    def timeline(self) -> Timeline:
        size = self.app.size
        worker = silent_worker(self.job, self.console.state.snapshot) if self.job is not None else None
        return Timeline(self.glyphs, self.console.state.now, size.width, size.height, worker)

    def _sections(self, detail: JobDetail) -> Text:
        return sections_text(self.section, self._attempt_place(detail), len(detail.attempts))

    def _attempt_place(self, detail: JobDetail) -> int:
        last = len(detail.attempts) - 1
        return last if self.attempt is None else min(self.attempt, last)

    def _lines(self, detail: JobDetail) -> list[Text]:
        if SECTIONS[self.section] == "Why":
            looking = Text(f"looking{self.glyphs.more}", theme.style(theme.DIM))
            return [looking] if self.why is None else reasons(self.why, self.glyphs)
        if SECTIONS[self.section] == "Arguments":
            return [Text(line) for line in formats.pretty(detail.job.arguments).splitlines()]
        if SECTIONS[self.section] == "Log":
            looking = Text(f"looking{self.glyphs.more}", theme.style(theme.DIM))
            return [looking] if self.attempt_log is None else log_lines(self.attempt_log, is_running=self._is_running)
        if SECTIONS[self.section] == "History":
            return self.timeline.history(detail, self.acts)
        if not detail.attempts:
            return [Text("no attempt has ended yet", theme.style(theme.DIM))]
        return evidence(detail.attempts[self._attempt_place(detail)], detail, is_folded=self.is_folded)

    def _beside(self, detail: JobDetail) -> list[Text]:
        """What a wide window shows beside the section: the arguments, or the longer text."""
        if SECTIONS[self.section] == "Arguments":
            return self.timeline.history(detail, self.acts)
        title = Text("arguments", theme.style(theme.DIM))
        return [title, *(Text(line) for line in formats.pretty(detail.job.arguments).splitlines())]

    # Keys

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_fold(self) -> None:
        self.is_folded = not self.is_folded
        self.paint()

    def action_section(self) -> None:
        self._show_section((self.section + 1) % len(SECTIONS))

    def _show_section(self, section: int) -> None:
        self.section = section
        self._ask_section()
        self.paint(keep_place=False)

    def action_older(self) -> None:
        self._step_attempt(-1)

    def action_newer(self) -> None:
        self._step_attempt(1)

    def _step_attempt(self, step: int) -> None:
        if self.detail is None or not self.detail.attempts:
            return
        place = self._attempt_place(self.detail) + step
        if 0 <= place < len(self.detail.attempts):
            self.attempt, self.attempt_log = place, None
            if SECTIONS[self.section] != "Log":
                self.section = 0
            self._ask_log()
            self.paint(keep_place=False)

    def action_previous(self) -> None:
        self._step_job(-1)

    def action_next(self) -> None:
        self._step_job(1)

    def _step_job(self, step: int) -> None:
        if self.job_id not in self.ids:
            return
        place = self.ids.index(self.job_id) + step
        if 0 <= place < len(self.ids):
            self.job_id, self.detail, self.attempt = self.ids[place], None, None
            self.acts, self.why, self.attempt_log = None, None, None
            self._ask()
            self.paint(keep_place=False)

    def action_why(self) -> None:
        self._show_section(SECTIONS.index("Why"))

    def action_log(self) -> None:
        self._show_section(SECTIONS.index("Log"))

    def why_not(self, action: Action) -> str | None:
        detail = self.detail
        if action.name in ("retry", "cancel", "purge", "edit", "copy", "fold", "section", "log") and detail is None:
            return "the job is not there"
        if detail is None and action.name == "stack":
            return "only a running job has one"
        if detail is not None and (why := self.why_not_in(action, "this job is", detail.job.state)) is not None:
            return why
        if action.name in ("older", "newer") and (detail is None or len(detail.attempts) < 2):
            return "there is no other attempt"
        if action.name == "fold" and detail is not None and not any(one.traceback for one in detail.attempts):
            return "there is no traceback"
        if action.name in ("previous", "next"):
            step = -1 if action.name == "previous" else 1
            place = self.ids.index(self.job_id) + step if self.job_id in self.ids else -1
            if not 0 <= place < len(self.ids):
                return "there is no other job that way"
        return super().why_not(action)


def standing_of(detail: JobDetail | None) -> object:
    """A value that changes whenever somebody has acted on the job, or may have."""
    if detail is None:
        return None
    return detail.job.state, detail.job.enqueued_at, detail.job.cancel_requested_at, len(detail.attempts)
