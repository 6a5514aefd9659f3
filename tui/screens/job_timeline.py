"""What happened to a job, in lines: where it stands, its attempts, and what operators did to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from jobq.records import ActRecord, AttemptRecord, JobActs, JobDetail, JobRecord
from jobq.states import State

from .. import formats, theme
from ..theme import Glyphs
from .base import is_bad, state_text
from .job_text import error_of, progress_text, used


@dataclass(frozen=True, slots=True)
class Timeline:
    """Drawn at one moment, into a window of one size."""

    glyphs: Glyphs
    now: datetime
    width: int
    height: int

    def facts(self, detail: JobDetail) -> list[Text]:
        """Where it stands, and how it came there."""
        job, now = detail.job, self.now
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
        job, now = detail.job, self.now
        first = Text.assemble(
            (f"{formats.stamp(job.enqueued_at, now)}  ", theme.style(theme.DIM)),
            "enqueued",
            (f"  {formats.since(job.enqueued_at, now)} ago", theme.style(theme.DIM)),
            *(("  by ", job.source) if job.source else ()),
            *((f"  due {formats.stamp(job.run_at, now)}",) if job.state == State.SCHEDULED else ()),
        )
        lines = [self.attempt_line(attempt) for attempt in detail.attempts]
        most = 6 if self.height > 30 else 3
        if len(lines) > most:
            skipped = len(lines) - most + 1
            lines = [*lines[:1], Text(f"          {skipped} more attempts", theme.style(theme.DIM)), *lines[2 - most :]]
        if job.state == State.RUNNING and job.started_at is not None:
            lines.append(self.running_line(job, job.started_at))
        return [first, *lines]

    def running_line(self, job: JobRecord, started_at: datetime) -> Text:
        """What the attempt that has not ended is doing."""
        text = Text.assemble(
            (f"{formats.stamp(started_at, self.now)}  ", theme.style(theme.DIM)),
            state_text(self.glyphs, job.state),
            f"  attempt {job.attempt}, for {formats.between(started_at, self.now)}",
            (f"  on {job.worker}" if job.worker else "", theme.style(theme.DIM)),
        )
        if job.progress is not None:
            text.append_text(Text.assemble("  ", progress_text(job, self.glyphs)))
        if job.cancel_requested_at is not None:
            text.append(f"  asked to end by {job.cancel_requested_by}", theme.style(theme.WAIT))
        if job.is_followed:
            text.append("  another run follows with newer arguments", theme.style(theme.WAIT))
        return text

    def attempt_line(self, attempt: AttemptRecord) -> Text:
        now = self.now
        ran = formats.between(attempt.started_at, attempt.ended_at, "")
        text = Text.assemble(
            (f"{formats.stamp(attempt.ended_at, now)}  ", theme.style(theme.DIM)),
            state_text(self.glyphs, attempt.outcome),
            f"  attempt {attempt.attempt}, " + (f"ran {ran}" if ran else "never began"),
            (f"  on {attempt.worker}" if attempt.worker else "", theme.style(theme.DIM)),
            (used(attempt) if self.width >= 100 else "", theme.style(theme.DIM)),
        )
        if attempt.error_type:
            text.append(f"  {error_of(attempt)}", theme.style(theme.BAD if is_bad(attempt.outcome) else theme.DIM))
        if attempt.retried:
            text.append("  tried again", theme.style(theme.DIM))
        text.no_wrap = True
        return formats.cut(text, max(20, self.width - 3), self.glyphs.more)

    def history(self, detail: JobDetail, acts: JobActs | None) -> list[Text]:
        """All that happened to it, in its order: what operators did stands among the attempts."""
        now, job = self.now, detail.job
        source = f"  by {job.source}" if job.source else ""
        word = "enqueued" if job.enqueued_at <= first_heard_of(detail) else "queued again"
        came = Text.assemble((f"{formats.stamp(job.enqueued_at, now)}  ", theme.style(theme.DIM)), f"{word}{source}")
        happened = [(job.enqueued_at, came)]
        happened += [(attempt.ended_at, self.attempt_line(attempt)) for attempt in detail.attempts]
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
            (f"{formats.stamp(act.at, self.now)}  ", theme.style(theme.DIM)),
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
