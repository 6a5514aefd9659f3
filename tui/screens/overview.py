"""Is it healthy, and if not, where?"""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from jobq.observe import FailureGroup, Figures, is_old
from jobq.records import JobRecord, QueueStats
from jobq.states import Outcome

from .. import formats, theme
from ..actions import Action, bindings
from ..samples import Samples
from ..source import COUNT_LIMIT, Snapshot
from ..troubles import Place, Trouble
from ..widgets.chart import Columns, Curves
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen
from .figures_text import (
    empty_in,
    ended_filter,
    ended_per_minute,
    figures_of,
    p95,
    trend,
    trend_words,
)
from .running_columns import running_columns
from .sections import next_list

QUIET = "nothing: all is well"
UNWORKED = "nothing waits, and no worker runs: jobq run starts one"


class Overview(ConsoleScreen):
    NAME = "overview"
    MAIN = "troubles"
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "open", "mute", "pause", "log", "section", "range_less", "range_more", "enqueue", "undo",
    )  # fmt: skip
    BINDINGS: ClassVar[list[Any]] = [
        Binding("shift+tab", "section(-1)", show=False),
        *bindings("section", "mute", "pause", "log"),
    ]

    def body(self) -> ComposeResult:
        yield Line(id="figures", classes="figures")
        with Horizontal(id="charts"):
            with Vertical(id="throughput"):
                yield Line(id="throughput-title", classes="heading")
                yield Columns(theme.GOOD, id="throughput-chart")
            with Vertical(id="run-time"):
                yield Line(id="run-time-title", classes="heading")
                yield Curves((theme.BUSY, theme.TEAL), formats.duration, id="run-time-chart")
            with Vertical(id="backlog"):
                yield Line(id="backlog-title", classes="heading")
                yield Columns(theme.WAIT, id="backlog-chart")
        with Horizontal(id="lower"):
            with Vertical(id="left"):
                yield Line(id="queues-title", classes="heading")
                yield Rows(self.queue_columns(), key=name_of, empty="no queue holds a job", id="queues")
                yield Line(id="classes-title", classes="heading roomy")
                yield Rows(self.class_columns(), key=figures_key, empty="nothing ended", id="classes", classes="roomy")
            with Vertical(id="right"):
                yield Line(id="troubles-title", classes="heading")
                yield Rows(self.trouble_columns(), key=key_of, empty=QUIET, has_titles=False, id="troubles")
                yield Line(id="running-title", classes="heading roomy")
                yield Rows(
                    running_columns(self.console),
                    key=id_of,
                    empty="nothing runs",
                    has_titles=False,
                    id="running",
                    classes="roomy",
                )

    def on_mount(self) -> None:
        self.query_one("#troubles").focus()

    # Drawing

    def paint(self) -> None:
        super().paint()
        snapshot = self.console.state.snapshot
        if snapshot is None:
            return
        samples = self.console.state.samples
        figures = self._figures(snapshot, is_long=True)
        fits = figures.cell_len <= self.app.size.width
        self.query_one("#figures", Line).put(figures if fits else self._figures(snapshot, is_long=False))
        self._paint_charts(snapshot, samples)
        self.query_one("#queues", Rows).put(snapshot.stats.queues)
        self.query_one("#classes", Rows).put(sorted(snapshot.period.classes, key=lambda one: -one.attempts))
        troubles = self.query_one("#troubles", Rows)
        troubles.empty = QUIET if snapshot.stats.workers else UNWORKED
        troubles.put(self.console.state.troubles)
        self.query_one("#running", Rows).put(snapshot.running)
        self._paint_titles(snapshot)
        self.paint_foot()  # the row under the cursor decides what can be done

    def _paint_titles(self, snapshot: Snapshot) -> None:
        number = len(self.console.state.troubles)
        look = theme.style(theme.BAD if number else theme.GOOD, bold=True)
        mark = str(number) if number else self.glyphs.tick
        self.query_one("#troubles-title", Line).put(Text.assemble(" NEEDS YOU  ", (mark, look)))
        self.query_one("#queues-title", Line).put(Text(" QUEUES"), trend_words(self.console.state.samples))
        running = formats.count(snapshot.stats.running)
        self.query_one("#running-title", Line).put(
            Text.assemble(" RUNNING LONGEST  ", (running, theme.style(theme.DIM)))
        )
        self.query_one("#classes-title", Line).put(Text(f" CLASSES, last {self.console.period.words}"))

    def _paint_charts(self, snapshot: Snapshot, samples: Samples) -> None:
        minutes = snapshot.period.step_seconds / 60
        steps = snapshot.period.steps
        span = (snapshot.period.since, snapshot.period.until)
        self.query_one("#throughput-chart", Columns).put(
            [step.outcomes.get(Outcome.SUCCESSFUL, 0) / minutes for step in steps],
            [(step.outcomes.get(Outcome.ERRORED, 0) + step.outcomes.get(Outcome.LOST, 0)) / minutes for step in steps],
            span,
            [deploy.at for deploy in snapshot.period.deploys],
        )
        backlog = self.query_one("#backlog-chart", Columns)
        backlog.put(samples.totals(backlog.room), span=samples.span)
        block = self.glyphs.blocks[8]
        self.query_one("#throughput-title", Line).put(
            Text.assemble(
                " ATTEMPTS A MINUTE  ",
                (f"{block} successful  ", theme.style(theme.GOOD)),
                (f"{block} failed", theme.style(theme.BAD)),
            ),
            self._beside_throughput(snapshot),
        )
        self.query_one("#run-time-chart", Curves).put(
            [step.run(0.95) for step in steps], [step.run(0.5) for step in steps], span
        )
        shown = self.glyphs.curve_samples
        self.query_one("#run-time-title", Line).put(
            Text.assemble(
                " RUN TIME  ",
                (f"{shown[0]} p95  ", theme.style(theme.BUSY)),
                (f"{shown[1]} p50", theme.style(theme.TEAL)),
            )
        )
        self.query_one("#backlog-title", Line).put(Text(" PENDING"))

    def _beside_throughput(self, snapshot: Snapshot) -> Text | None:
        """The last deploy of the period, each of which the axis marks; else the period, unless the head shows it."""
        if not snapshot.period.deploys:
            return None if self.is_wide else Text(f"last {self.console.period.words} ", theme.style(theme.DIM))
        last = snapshot.period.deploys[-1]
        return Text.assemble(
            (f"{self.glyphs.up} ", theme.style(theme.KEY)),
            (f"{last.build} {formats.since(last.at, self.console.state.now)} ", theme.style(theme.DIM)),
        )

    def _figures(self, snapshot: Snapshot, *, is_long: bool) -> Text:
        stats, total, wide, none = snapshot.stats, snapshot.period.total, is_long, self.glyphs.none
        oldest = max((queue.oldest_seconds or 0.0 for queue in stats.queues), default=0.0)
        silent = sum(worker.is_silent for worker in stats.workers)
        number = formats.count if wide else formats.short
        about = "~" if "pending" in stats.estimated else ""
        period = self.console.period.words
        figures = [
            ("pending" if wide else "pend", about + number(stats.pending), theme.WAIT if stats.pending else theme.TEXT),
            ("running" if wide else "run", number(stats.running), theme.BUSY if stats.running else theme.TEXT),
            ("ended/min" if wide else "end/m", formats.rate(ended_per_minute(snapshot.period), none), theme.TEXT),
            (f"failed {period}" if wide else f"fail {period}", number(total.failed_jobs),
             theme.BAD if total.failed_jobs else theme.TEXT),
            (*self._p95("wait", total.wait(0.95), total.few_waits, wide=wide), theme.TEXT),
            (*self._p95("run", total.run(0.95), total.few_runs, wide=wide), theme.TEXT),
            ("oldest" if wide else "old", formats.age(oldest) if stats.pending else none,
             theme.BAD if is_old(oldest) else theme.TEXT),
            ("workers" if wide else "wrk", f"{len(stats.workers)}{f' {self.glyphs.silent}{silent}' if silent else ''}",
             theme.BAD if silent or not stats.workers else theme.TEXT),
        ]  # fmt: skip
        text = Text("", no_wrap=True)
        for words, value, colour in figures:
            text.append(f"  {words} " if wide else f" {words} ", theme.style(theme.DIM))
            text.append(value, theme.style(colour, bold=True))
        return text

    def _p95(self, what: str, seconds: float | None, few: int | None, *, wide: bool) -> tuple[str, str]:
        """Words and value. With few attempts it is the maximum, and says so."""
        word, value = formats.duration(seconds, self.glyphs.none), "p95" if wide else "95"
        if few is not None:
            return (f"{what} max", f"{word} of {few}") if wide else (f"{what}max", word)
        return f"{what} {value}" if wide else f"{what}{value}", word

    # Its lists

    def queue_columns(self) -> list[Column]:
        return [
            Column("QUEUE", self.queue_name, most=20),
            Column("PEND", self.queue_pending, right=True, most=6),
            Column("RUN", lambda queue: formats.short(queue.running), right=True, most=5),
            Column("OLDEST", self.queue_oldest, right=True, most=6),
            Column("P95 WAIT", self.queue_wait, right=True, most=8, least=64),
            Column("EMPTY IN", self.queue_empty_in, right=True, most=9),
            Column("TREND", least=56, is_rest=True, fill=self.queue_trend),
        ]

    def trouble_columns(self) -> list[Column]:
        return [Column("", self.trouble_text, most=200, is_rest=True)]

    def class_columns(self) -> list[Column]:
        none = self.glyphs.none
        return [
            Column("CLASS", is_rest=True, fill=lambda one, width: formats.class_in(one.name, width)),
            Column("ENDED", lambda one: formats.short(one.ended), right=True, most=6),
            Column("FAIL%", self.failing, right=True, most=6),
            Column("RUN P50", lambda one: formats.duration(one.run(0.5), none), right=True, most=7),
            Column("P95", lambda one: p95(one.run(0.95), one.few_runs, none), right=True, most=7),
            Column("MAX", lambda one: formats.duration(one.longest_run, none), right=True, most=7),
            Column("WAIT P95", lambda one: p95(one.wait(0.95), one.few_waits, none), right=True, most=8, least=60),
        ]

    def failing(self, one: Figures) -> Text:
        """The share of the jobs that ended, not of the attempts."""
        share = 100 * one.failed_share
        return Text(f"{share:.1f}", theme.style(theme.BAD if share >= 1 else theme.TEXT))

    def queue_name(self, queue: QueueStats) -> Text:
        if queue.paused:
            return Text.assemble((f"{queue.name} {self.glyphs.paused}", theme.style(theme.WAIT)))
        return Text(queue.name)

    def queue_pending(self, queue: QueueStats) -> str:
        return formats.at_least(queue.pending, COUNT_LIMIT, formats.short)

    def queue_oldest(self, queue: QueueStats) -> Text:
        seconds = queue.oldest_seconds
        colour = theme.BAD if is_old(seconds) else theme.TEXT
        return Text(formats.age(seconds, self.glyphs.none), theme.style(colour))

    def queue_wait(self, queue: QueueStats) -> str:
        figures = figures_of(self.console.state.snapshot, queue.name)
        return p95(figures.wait(0.95), figures.few_waits, self.glyphs.none) if figures else self.glyphs.none

    def queue_empty_in(self, queue: QueueStats) -> Text:
        word, colour = empty_in(queue, self.console.state.samples, self.console.state.snapshot, self.glyphs.none)
        return Text(word, theme.style(colour))

    def queue_trend(self, queue: QueueStats, width: int) -> Text:
        return trend(queue, self.console.state.samples, width, self.glyphs)

    def trouble_text(self, trouble: Trouble) -> Text:
        glyph = getattr(self.glyphs, trouble.glyph)
        look = theme.style(theme.BAD if trouble.need.kind.is_bad else theme.WAIT, bold=True)
        return Text.assemble((f"{glyph} ", look), trouble.text)

    # Its keys

    def on_rows_opened(self, message: Rows.Opened) -> None:
        rows = message.rows
        current = rows.current
        if isinstance(current, Trouble):
            self.console.navigation.go(current.place)
        elif isinstance(current, QueueStats):
            self.console.navigation.go(Place("queues", filter=current.name))
        elif isinstance(current, Figures):
            snapshot = self.console.state.snapshot
            since = snapshot.period.since if snapshot else None
            self.console.navigation.go(Place("jobs", "finished", ended_filter(current.name, since)))
        elif isinstance(current, JobRecord):
            self.console.navigation.open_job(current.id, [job.id for job in rows.items])

    def action_log(self) -> None:
        if (job := running_job(self.focused)) is not None:
            self.console.navigation.open_job(job.id, section="Log")

    def action_section(self, step: int = 1) -> None:
        next_list(self, step)

    def action_mute(self) -> None:
        from .failures import mute

        if (group := self._failing()) is not None and self.allowed("mute"):
            mute(self.console, [group])

    def action_pause(self) -> None:
        from .queues import pause

        if (queue := self._queue()) is not None and self.allowed("pause"):
            pause(self.console, queue)

    def _queue(self) -> QueueStats | None:
        """The queue under the cursor, in the list of queues or among the needs."""
        current = self.focused.current if isinstance(self.focused, Rows) else None
        snapshot = self.console.state.snapshot
        if isinstance(current, Trouble) and current.place.screen == "queues" and snapshot is not None:
            return next((one for one in snapshot.stats.queues if one.name == current.place.filter), None)
        return current if isinstance(current, QueueStats) else None

    def _failing(self) -> FailureGroup | None:
        """The group of failures under the cursor, among the needs."""
        trouble = self.focused.current if isinstance(self.focused, Rows) else None
        snapshot = self.console.state.snapshot
        if not isinstance(trouble, Trouble) or trouble.place.screen != "failures" or snapshot is None:
            return None
        return next((one for one in snapshot.failing.groups if one.group == trouble.place.filter), None)

    def why_not(self, action: Action) -> str | None:
        if action.name == "mute" and self._failing() is None:
            return "only failures are muted"
        if action.name == "pause" and self._queue() is None:
            return "only queues are paused"
        if action.name == "log" and running_job(self.focused) is None:
            return "the cursor is on no job"
        if action.name == "open":
            focused = self.focused
            if not isinstance(focused, Rows) or focused.current is None:
                return "there is nothing to open"
        return super().why_not(action)


def running_job(focused: Any) -> JobRecord | None:
    """The job under the cursor, in the list of what runs."""
    current = focused.current if isinstance(focused, Rows) else None
    return current if isinstance(current, JobRecord) else None


def name_of(queue: QueueStats) -> str:
    return queue.name


def key_of(trouble: Trouble) -> str:
    return trouble.key


def id_of(job: JobRecord) -> int:
    return job.id


def figures_key(figures: Figures) -> str:
    return figures.name
