"""One job: what happened to it, attempt by attempt, and the evidence."""

from datetime import datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding

from jobq.observe import Why
from jobq.records import ActRecord, AttemptRecord, JobActs, JobDetail
from jobq.states import FINISHED, State

from .. import formats, theme
from ..actions import Action, bindings
from ..messages import Answered, Refused
from ..plans import Scope
from ..source import Report
from ..widgets.frame import Line
from ..widgets.lines import Lines
from .base import ConsoleScreen, is_bad, state_text
from .copy import Copy, choices
from .job_text import error_of, progress_text, used
from .traceback_text import traceback_lines
from .why import reasons

SECTIONS = ("Attempts", "Why", "Arguments", "History")


class JobPage(ConsoleScreen):
    NAME = "jobs"
    WORDS = "A job"
    MAIN = "lines"
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "back", "retry", "cancel", "edit", "purge", "why", "stack", "copy", "fold", "section", "older", "newer",
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
        ),
        Binding("backspace", "back", show=False),
    ]

    def __init__(self, job_id: int, ids: tuple[int, ...]) -> None:
        super().__init__()
        self.job_id = job_id
        self.ids = ids
        self.detail: JobDetail | None = None
        self.acts: JobActs | None = None
        self.why: Why | None = None
        self.problem = ""
        self.section = 0
        self.attempt: int | None = None  # a place among the attempts; None: the last
        self.is_folded = True

    def body(self) -> ComposeResult:
        yield Line(id="title")
        yield Lines(id="facts")
        yield Line(id="sections")
        yield Lines(id="lines")

    def on_mount(self) -> None:
        self.query_one("#lines").focus()
        self._ask()

    # Reading

    def looked(self) -> None:
        if self.detail is None or self.detail.job.state != FINISHED:
            self._ask()
            self._ask_section(is_again=True)

    def acted(self, report: Report) -> None:
        self._ask()
        self._ask_section()

    def _ask(self) -> None:
        job_id = self.job_id
        self.console.feed.ask(self, "job", lambda source: source.job(job_id))

    def _ask_section(self, *, is_again: bool = False) -> None:
        """What only one section shows is asked when somebody looks at it. What operators did is no busy thing: that is
        asked then, and after each act."""
        if self.detail is None:
            return
        job_id, since = self.job_id, first_heard_of(self.detail)
        if SECTIONS[self.section] == "Why":
            self.console.feed.ask(self, "why", lambda source: source.why(job_id), is_again=is_again)
        elif SECTIONS[self.section] == "History" and not is_again:
            self.console.feed.ask(self, "acts", lambda source: (job_id, source.acts_on(job_id, since)))

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "acts":
            if message.value[0] == self.job_id:
                self.acts = message.value[1]
                self.paint()
            return
        if message.name == "why":
            if message.value.job.id == self.job_id:
                self.why = message.value
                self.paint()
            return
        if message.name == "stack":
            from .stack import LiveStack

            self.app.push_screen(LiveStack(message.value))
            return
        if message.value.job.id != self.job_id:
            return
        is_first = self.detail is None
        self.detail, self.problem = message.value, ""
        if is_first:
            if self.section == 0 and not self.detail.attempts:
                self.section = SECTIONS.index("Arguments" if self.detail.job.state == State.RUNNING else "Why")
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
        self.query_one("#title", Line).put(self._title(), self._place())
        facts, lines = self.query_one("#facts", Lines), self.query_one("#lines", Lines)
        if self.detail is None:
            lines.put([Text(self.problem or f"looking{self.glyphs.more}", theme.style(theme.DIM))])
            return
        found = self.facts(self.detail)
        facts.put(found)
        facts.styles.height = min(facts.length, 12 if self.app.size.height > 30 else 7)
        self.query_one("#sections", Line).update(self._sections())
        lines.put(self._lines(self.detail), keep_place=keep_place)
        self.paint_foot()

    def _title(self) -> Text:
        if self.detail is None:
            return Text(f" #{self.job_id}")
        job = self.detail.job
        tries = f"attempt {job.attempt} of {max(job.retries + 1, job.attempt)}"
        return Text.assemble(
            (f" #{job.id} ", theme.style(theme.KEY, bold=True)),
            (f"{job.job_class}  ", theme.style(theme.TEXT, bold=True)),
            state_text(self.glyphs, job.state, job.outcome),
            (f"  {tries}" if job.attempt else "  not begun", theme.style(theme.DIM)),
        )

    def _place(self) -> Text:
        if self.job_id not in self.ids or len(self.ids) < 2:
            return Text("")
        place = f"{self.ids.index(self.job_id) + 1} of {formats.count(len(self.ids))} "
        return Text.assemble(
            ("[ ", theme.style(theme.KEY)), (place, theme.style(theme.DIM)), ("] ", theme.style(theme.KEY))
        )

    def facts(self, detail: JobDetail) -> list[Text]:
        """Where it stands, and how it came there."""
        job, now = detail.job, self.console.state.now
        facts = Text.assemble(
            *named("queue", job.queue), *named("priority", str(job.priority)), *named("retries", str(job.retries)),
            *(named("key", job.unique_key) if job.unique_key else ()),
            *(named("timeout", formats.duration(job.timeout)) if job.timeout else ()),
            *(named("expires", formats.stamp(job.expires_at, now)) if job.expires_at else ()),
            *(named("trace", job.trace_id) if job.trace_id else ()),
        )  # fmt: skip
        return [facts, *self.timeline(detail), *standing(detail, now)]

    def timeline(self, detail: JobDetail) -> list[Text]:
        """From the enqueueing to the end, a line for each attempt; the middle of many is left out."""
        job, now = detail.job, self.console.state.now
        first = Text.assemble(
            (f"{formats.stamp(job.enqueued_at, now)}  ", theme.style(theme.DIM)),
            "enqueued",
            (f"  {formats.since(job.enqueued_at, now)} ago", theme.style(theme.DIM)),
            *(("  by ", job.source) if job.source else ()),
            *((f"  due {formats.stamp(job.run_at, now)}",) if job.state == State.SCHEDULED else ()),
        )
        lines = [self.attempt_line(attempt) for attempt in detail.attempts]
        most = 6 if self.app.size.height > 30 else 3
        if len(lines) > most:
            skipped = len(lines) - most + 1
            lines = [*lines[:1], Text(f"          {skipped} more attempts", theme.style(theme.DIM)), *lines[2 - most :]]
        if job.state == State.RUNNING and job.started_at is not None:
            running = Text.assemble(
                (f"{formats.stamp(job.started_at, now)}  ", theme.style(theme.DIM)),
                state_text(self.glyphs, job.state),
                f"  attempt {job.attempt}, for {formats.between(job.started_at, now)}",
                (f"  on {job.worker}" if job.worker else "", theme.style(theme.DIM)),
            )
            if job.progress is not None:
                running.append_text(Text.assemble("  ", progress_text(job, self.glyphs)))
            if job.cancel_requested_at is not None:
                running.append(f"  asked to end by {job.cancel_requested_by}", theme.style(theme.WAIT))
            if job.is_followed:
                running.append("  another run follows with newer arguments", theme.style(theme.WAIT))
            lines.append(running)
        return [first, *lines]

    def attempt_line(self, attempt: AttemptRecord) -> Text:
        now = self.console.state.now
        ran = formats.between(attempt.started_at, attempt.ended_at, "")
        text = Text.assemble(
            (f"{formats.stamp(attempt.ended_at, now)}  ", theme.style(theme.DIM)),
            state_text(self.glyphs, attempt.outcome),
            f"  attempt {attempt.attempt}, " + (f"ran {ran}" if ran else "never began"),
            (f"  on {attempt.worker}" if attempt.worker else "", theme.style(theme.DIM)),
            (used(attempt) if self.is_wide else "", theme.style(theme.DIM)),
        )
        if attempt.error_type:
            text.append(f"  {error_of(attempt)}", theme.style(theme.BAD if is_bad(attempt.outcome) else theme.DIM))
        if attempt.retried:
            text.append("  tried again", theme.style(theme.DIM))
        text.no_wrap = True
        return formats.cut(text, max(20, self.app.size.width - 3), self.glyphs.more)

    def _sections(self) -> Text:
        detail = self.detail
        assert detail is not None
        text = Text(" ", no_wrap=True)
        for place, section in enumerate(SECTIONS):
            words = section
            if section == "Attempts":
                words = (
                    f"Attempt {self._attempt_place(detail) + 1} of {len(detail.attempts)}"
                    if detail.attempts
                    else "No attempt yet"
                )
            part = Text(
                f" {words} ", theme.style(theme.KEY if place == self.section else theme.DIM, bold=place == self.section)
            )
            if place == self.section:
                part.stylize(f"on {theme.PANEL}")
            text.append_text(part)
            text.append(" ")
        if self.section == 0 and len(detail.attempts) > 1:
            text.append_text(
                Text.assemble(("  left right ", theme.style(theme.KEY)), ("other attempts", theme.style(theme.DIM)))
            )
        return text

    def _attempt_place(self, detail: JobDetail) -> int:
        last = len(detail.attempts) - 1
        return last if self.attempt is None else min(self.attempt, last)

    def _lines(self, detail: JobDetail) -> list[Text]:
        if SECTIONS[self.section] == "Why":
            looking = Text(f"looking{self.glyphs.more}", theme.style(theme.DIM))
            return [looking] if self.why is None else reasons(self.why, self.glyphs)
        if SECTIONS[self.section] == "Arguments":
            return [Text(line) for line in formats.pretty(detail.job.arguments).splitlines()]
        if SECTIONS[self.section] == "History":
            return self.history(detail)
        if not detail.attempts:
            return [Text("no attempt has ended yet", theme.style(theme.DIM))]
        return self.evidence(detail.attempts[self._attempt_place(detail)], detail)

    def history(self, detail: JobDetail) -> list[Text]:
        """All that happened to it, in its order: what operators did stands among the attempts."""
        now, job = self.console.state.now, detail.job
        source = f"  by {job.source}" if job.source else ""
        word = "enqueued" if job.enqueued_at <= first_heard_of(detail) else "queued again"
        came = Text.assemble((f"{formats.stamp(job.enqueued_at, now)}  ", theme.style(theme.DIM)), f"{word}{source}")
        happened = [(job.enqueued_at, came)]
        happened += [(attempt.ended_at, self.attempt_line(attempt)) for attempt in detail.attempts]
        acts = self.acts
        happened += [(act.at, self.act_line(act)) for act in (acts.named if acts else ())]
        lines = [line for _, line in sorted(happened, key=lambda event: event[0])]
        if acts is None:
            return [*lines, Text(f"looking what operators did{self.glyphs.more}", theme.style(theme.DIM))]
        if not acts.named:
            lines.append(Text("no operator is known to have done anything to it", theme.style(theme.DIM)))
        if acts.possible:
            words = "perhaps also: acts on so many that only the first are named"
            lines += [Text(""), Text(words, theme.style(theme.DIM))]
            lines += [self.act_line(act) for act in acts.possible]
        return lines

    def act_line(self, act: ActRecord) -> Text:
        """What an operator did, to how many, and which those were."""
        text = Text.assemble(
            (f"{formats.stamp(act.at, self.console.state.now)}  ", theme.style(theme.DIM)),
            (f"{self.glyphs.hand} {act.verb}", theme.style(theme.KEY)),
            f"  by {act.who}",
        )
        if act.affected > 1:
            text.append(f"  with {formats.plural(act.affected - 1, 'other')}", theme.style(theme.DIM))
        if act.selection is not None:
            text.append(f"  {act.selection}", theme.style(theme.DIM))
        if act.undone_at is not None:
            text.append("  undone", theme.style(theme.DIM))
        return text

    def evidence(self, attempt: AttemptRecord, detail: JobDetail) -> list[Text]:
        """What one attempt left behind: its traceback, or what it returned."""
        lines = []
        same = [other.attempt for other in detail.attempts if is_same(other, attempt) and other is not attempt]
        if same:
            lines.append(Text(f"as in attempt {formats.listed(map(str, same), 6)}", theme.style(theme.DIM)))
        if attempt.traceback:
            lines += traceback_lines(attempt.traceback, is_folded=self.is_folded)
        elif attempt.error_message:
            lines += [Text(line, theme.style(theme.BAD)) for line in attempt.error_message.splitlines()]
        if attempt.value is not None:
            lines.append(Text("returned", theme.style(theme.DIM)))
            lines += [Text(line) for line in formats.pretty(attempt.value).splitlines()]
        if attempt.value_note is not None:
            lines.append(Text(attempt.value_note, theme.style(theme.WAIT)))
        return lines or [Text("it left nothing behind", theme.style(theme.DIM))]

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
            self.attempt, self.section = place, 0
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
            self.acts, self.why = None, None
            self._ask()
            self.paint(keep_place=False)

    def action_retry(self) -> None:
        self._do("retry")

    def action_cancel(self) -> None:
        self._do("cancel")

    def action_purge(self) -> None:
        self._do("purge")

    def _do(self, name: str) -> None:
        if self.allowed(name) and self.detail is not None:
            self.console.acting.do(name, Scope((self.detail.job.id,), jobs=(self.detail.job,)))

    def action_edit(self) -> None:
        from .enqueue import Enqueue, model_of_job

        if self.detail is not None and self.allowed("edit"):
            self.app.push_screen(Enqueue(model_of_job(self.detail.job)))

    def action_why(self) -> None:
        self._show_section(SECTIONS.index("Why"))

    def action_stack(self) -> None:
        job_id = self.job_id
        if self.allowed("stack"):
            self.console.feed.ask(self, "stack", lambda source: source.stack(job_id))

    def action_copy(self) -> None:
        if self.detail is not None:
            self.app.push_screen(Copy(choices(self.detail.job, self.detail, None)))

    def why_not(self, action: Action) -> str | None:
        detail = self.detail
        if action.name in ("retry", "cancel", "purge", "edit", "copy", "fold", "section") and detail is None:
            return "the job is not there"
        if detail is not None and action.act is not None and detail.job.state not in action.act.states:
            allowed = " or ".join(sorted(action.act.states))
            return f"this job is {detail.job.state}; only {allowed} ones can be"
        if action.name in ("older", "newer") and (detail is None or len(detail.attempts) < 2):
            return "there is no other attempt"
        if action.name == "stack" and (detail is None or detail.job.state != State.RUNNING):
            return "only a running job has one"
        if action.name == "fold" and detail is not None and not any(one.traceback for one in detail.attempts):
            return "there is no traceback"
        if action.name in ("previous", "next"):
            step = -1 if action.name == "previous" else 1
            place = self.ids.index(self.job_id) + step if self.job_id in self.ids else -1
            if not 0 <= place < len(self.ids):
                return "there is no other job that way"
        return super().why_not(action)


def standing(detail: JobDetail, now: Any) -> list[Text]:
    """What it waits for, as far as one can tell."""
    job = detail.job
    if job.state == State.SCHEDULED:
        why = "waits for its next try" if job.attempt else "waits for its time"
        return [Text.assemble((f"{why}: {formats.due(job.run_at, now)}", theme.style(theme.LATER)))]
    if job.state == State.PENDING and not detail.known:
        return [Text.assemble((f"no live worker knows {job.job_class}: it waits in vain", theme.style(theme.BAD)))]
    if job.state == State.PENDING:
        return [Text.assemble((f"waits for a worker since {formats.stamp(job.run_at, now)}", theme.style(theme.WAIT)))]
    return []


def first_heard_of(detail: JobDetail) -> datetime:
    """A retry by hand counts as another enqueueing: what came before it was earlier than the job says."""
    moments = [detail.job.enqueued_at, *(attempt.started_at or attempt.ended_at for attempt in detail.attempts)]
    return min(moments)


def named(name: str, value: str) -> tuple[tuple[str, Any], str]:
    return (f"{name} ", theme.style(theme.DIM)), f"{value}  "


def is_same(one: AttemptRecord, other: AttemptRecord) -> bool:
    """Whether two attempts failed in the same way."""
    return one.error_type is not None and (one.error_type, one.error_message) == (other.error_type, other.error_message)
