"""The history of a job, line by line: its state, its attempts, and what operators did to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from jobq.observe import Acted, Asked, Begun, Enqueued, Event, Tried, happened, possible_acts
from jobq.records import ActRecord, JobActs, JobDetail, JobRecord, WorkerRecord
from jobq.states import State

from .. import formats, theme
from ..theme import Glyphs
from .base import is_bad, state_text
from .job_text import error_of, progress_text, unknown_words, used
from .silent_text import silence_text

SHORTEST_BACKOFF = 0.05
"""Seconds. A job that is retried without a delay is due a moment after the end of the attempt was recorded."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Drawn at one moment, for a window of one size."""

    glyphs: Glyphs
    now: datetime
    width: int
    height: int
    silent: WorkerRecord | None = None  # the worker that has the job, if it is silent

    def facts(self, detail: JobDetail, acts: JobActs | None) -> list[Text]:
        """Its state, and how it came there."""
        job, now = detail.job, self.now
        facts = Text.assemble(
            *named("queue", job.queue), *named("priority", str(job.priority)), *named("retries", str(job.retries)),
            *(named("key", job.unique_key) if job.unique_key else ()),
            *(named("timeout", formats.duration(job.timeout)) if job.timeout else ()),
            *(named("expires", formats.stamp(job.expires_at, now)) if job.expires_at else ()),
            *(named("trace", job.trace_id) if job.trace_id else ()),
        )  # fmt: skip
        return [facts, *self.timeline(detail, acts), *standing(detail, now)]

    def timeline(self, detail: JobDetail, acts: JobActs | None) -> list[Text]:
        """From the first enqueue to the end, a line for each event. The middle of a long history is left out."""
        lines = [self.one_line(text) for text in self.events(detail, acts)]
        most = 7 if self.height > 30 else 4
        if len(lines) > most:
            skipped = len(lines) - most + 1
            words = f"          {formats.plural(skipped, 'more event')}: see History"
            lines = [*lines[:1], Text(words, theme.style(theme.DIM)), *lines[2 - most :]]
        return lines

    def one_line(self, text: Text) -> Text:
        text.no_wrap = True
        return formats.cut(text, max(20, self.width - 3), self.glyphs.more)

    def history(self, detail: JobDetail, acts: JobActs | None) -> list[Text]:
        """All events in order: operators' acts stand among the attempts."""
        lines = self.events(detail, acts)
        if acts is None:
            return [*lines, Text(f"reading what operators did{self.glyphs.more}", theme.style(theme.DIM))]
        if not acts.named and not any(isinstance(one, Enqueued) and one.act for one in happened(detail, acts)):
            lines.append(Text("no act of an operator is known", theme.style(theme.DIM)))
        if possible := possible_acts(detail, acts):
            words = "perhaps also: acts on so many that only the first are named"
            lines += [Text(""), Text(words, theme.style(theme.DIM))]
            lines += [self.act_line(act, detail.job.id) for act in possible]
        return lines

    def events(self, detail: JobDetail, acts: JobActs | None) -> list[Text]:
        return [self.event_line(event, detail) for event in happened(detail, acts)]

    def event_line(self, event: Event, detail: JobDetail) -> Text:
        match event:
            case Enqueued():
                return self.enqueued_line(event, detail.job.id)
            case Tried():
                return self.tried_line(event)
            case Begun():
                return self.begun_line(event, detail.job)
            case Asked(at, by):
                return Text.assemble(self.moment(at), ("asked to end", theme.style(theme.WAIT)), f"  by {by or '?'}")
            case Acted(act=act):
                return self.act_line(act, detail.job.id)

    def moment(self, at: datetime) -> Text:
        return Text(f"{formats.stamp(at, self.now)}  ", theme.style(theme.DIM))

    def enqueued_line(self, event: Enqueued, job_id: int) -> Text:
        if event.act is not None:
            return Text.assemble(self.act_line(event.act, job_id), "  queued again")
        if event.is_again:
            return Text.assemble(self.moment(event.at), "queued again by hand")
        return Text.assemble(
            self.moment(event.at),
            "enqueued",
            (f"  {formats.since(event.at, self.now)} ago", theme.style(theme.DIM)),
            *(("  by ", event.by) if event.by else ()),
            *((f"  due {formats.stamp(event.due_at, self.now)}",) if event.due_at else ()),
        )

    def begun_line(self, event: Begun, job: JobRecord) -> Text:
        """What the current attempt is doing."""
        text = Text.assemble(
            self.moment(event.at),
            state_text(self.glyphs, job.state),
            f"  attempt {event.attempt}{waited(event.waited)}, for {formats.between(event.at, self.now)}",
            (f"  on {job.worker}" if job.worker else "", theme.style(theme.DIM)),
        )
        if self.silent is not None:
            text.append_text(Text.assemble("  ", silence_text(self.silent, self.glyphs)))
        elif job.progress is not None:
            text.append_text(Text.assemble("  ", progress_text(job, self.glyphs)))
        if job.cancel_requested_at is not None:
            text.append(f"  asked to end by {job.cancel_requested_by}", theme.style(theme.WAIT))
        if job.is_followed:
            text.append("  another run follows with newer arguments", theme.style(theme.WAIT))
        return text

    def tried_line(self, event: Tried) -> Text:
        """An attempt that ended: its wait, its run time, and what followed. A narrow window has no room for more."""
        attempt, is_wide = event.attempt, self.width >= 100
        ran = formats.between(attempt.started_at, attempt.ended_at, "")
        text = Text.assemble(
            self.moment(event.at),
            state_text(self.glyphs, attempt.outcome),
            f"  attempt {attempt.attempt}",
            f"{waited(event.waited)}, ran {ran}" if ran else ", never began",
            (f"  on {attempt.worker}" if attempt.worker and is_wide else "", theme.style(theme.DIM)),
            (used(attempt) if is_wide else "", theme.style(theme.DIM)),
        )
        if event.backoff is not None:
            text.append(f"  next try {backoff(event.backoff)}", theme.style(theme.LATER))
        if attempt.error_type:
            text.append(f"  {error_of(attempt)}", theme.style(theme.BAD if is_bad(attempt.outcome) else theme.DIM))
        return text

    def act_line(self, act: ActRecord, job_id: int) -> Text:
        """An operator's act: the number of its jobs, and which they were."""
        text = Text.assemble(
            self.moment(act.at),
            (f"{self.glyphs.hand} {act.verb}", theme.style(theme.KEY)),
            f"  by {act.who}",
        )
        if act.selection == f"id:{job_id}":
            text.append(f"  as {', '.join(f'#{number}' for number in act.ids)}")
            return text
        if act.affected > 1:
            text.append(f"  with {formats.plural(act.affected - 1, 'other')}", theme.style(theme.DIM))
        if act.selection is not None:
            text.append(f"  {act.selection}", theme.style(theme.DIM))
        if act.undone_at is not None:
            text.append("  undone", theme.style(theme.DIM))
        return text


def waited(seconds: float | None) -> str:
    return "" if seconds is None else f", waited {formats.duration(seconds)}"


def backoff(seconds: float) -> str:
    return f"after {formats.duration(seconds)}" if seconds >= SHORTEST_BACKOFF else "at once"


def standing(detail: JobDetail, now: Any) -> list[Text]:
    """What the job waits for, as far as known."""
    job = detail.job
    if job.state == State.SCHEDULED:
        why = "waits for its next try" if job.attempt else "waits for its time"
        return [Text.assemble((f"{why}: {formats.due(job.run_at, now)}", theme.style(theme.LATER)))]
    if job.state == State.PENDING and not detail.known:
        return [Text(unknown_words(job), theme.style(theme.BAD))]
    if job.state == State.PENDING:
        return [Text.assemble((f"waits for a worker since {formats.stamp(job.run_at, now)}", theme.style(theme.WAIT)))]
    return []


def named(name: str, value: str) -> tuple[tuple[str, Any], str]:
    return (f"{name} ", theme.style(theme.DIM)), f"{value}  "
