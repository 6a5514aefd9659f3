"""Is it healthy, and if not, where?"""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from jobq.records import JobRecord, QueueStats

from .. import formats, theme
from ..actions import Action, bindings
from ..samples import Samples
from ..source import Snapshot
from ..troubles import Place, Trouble, is_worked
from ..widgets.chart import Columns
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen
from .job import error_of

MOST_STEPS = 300
LATEST = 50
QUIET = "nothing: all is well"


class Overview(ConsoleScreen):
    NAME = "overview"
    TITLE_WORDS = "Overview"
    SHORT = "Over"
    QUESTION = "Is it healthy, and if not, where?"
    ACTIONS: ClassVar[tuple[str, ...]] = ("open", "section", "enqueue")
    BINDINGS: ClassVar[list[Any]] = [Binding("shift+tab", "section(-1)", show=False), *bindings("section")]

    def body(self) -> ComposeResult:
        yield Line(id="figures", classes="figures")
        with Horizontal(id="charts"):
            with Vertical(id="throughput"):
                yield Line(id="throughput-title", classes="heading")
                yield Columns(theme.GOOD, id="throughput-chart")
            with Vertical(id="backlog"):
                yield Line(id="backlog-title", classes="heading")
                yield Columns(theme.WAIT, id="backlog-chart")
        with Horizontal(id="lower"):
            with Vertical(id="left"):
                yield Line(id="queues-title", classes="heading")
                yield Rows(self.queue_columns(), key=name_of, empty="no queue holds a job", id="queues")
                yield Line(id="running-title", classes="heading roomy")
                yield Rows(
                    self.running_columns(),
                    key=id_of,
                    empty="nothing runs",
                    has_titles=False,
                    id="running",
                    classes="roomy",
                )
            with Vertical(id="right"):
                yield Line(id="troubles-title", classes="heading")
                yield Rows(self.trouble_columns(), key=key_of, empty=QUIET, has_titles=False, id="troubles")
                yield Line(id="failures-title", classes="heading roomy")
                yield Rows(
                    self.failure_columns(), key=id_of, empty="none", has_titles=False, id="failures", classes="roomy"
                )

    def on_mount(self) -> None:
        self.query_one("#troubles").focus()
        super().on_mount()

    # Drawing

    def paint(self) -> None:
        super().paint()
        snapshot = self.console.snapshot
        if snapshot is None:
            return
        samples = self.console.samples
        self.query_one("#figures", Line).put(self._figures(snapshot, samples))
        self._paint_charts(samples)
        self.query_one("#queues", Rows).put(snapshot.stats.queues)
        self.query_one("#troubles", Rows).put(self.console.troubles)
        longest = sorted(snapshot.running, key=lambda job: job.started_at or snapshot.at)
        self.query_one("#running", Rows).put(longest)
        self.query_one("#failures", Rows).put(snapshot.failures[:LATEST])
        self._paint_titles(snapshot)

    def _paint_titles(self, snapshot: Snapshot) -> None:
        number = len(self.console.troubles)
        look = theme.style(theme.BAD if number else theme.GOOD, bold=True)
        mark = str(number) if number else self.glyphs.tick
        self.query_one("#troubles-title", Line).put(Text.assemble(" NEEDS YOU  ", (mark, look)))
        self.query_one("#queues-title", Line).put(Text(" QUEUES"))
        of = f"of the youngest {len(snapshot.running)}" if snapshot.stats.running > len(snapshot.running) else ""
        self.query_one("#running-title", Line).put(
            Text.assemble(" RUNNING LONGEST  ", (of or str(snapshot.stats.running), theme.style(theme.DIM)))
        )
        self.query_one("#failures-title", Line).put(Text(" LATEST FAILURES"))

    def _paint_charts(self, samples: Samples) -> None:
        steps = samples.steps(MOST_STEPS)
        self.query_one("#throughput-chart", Columns).put([s.good for s in steps], [s.bad for s in steps])
        self.query_one("#backlog-chart", Columns).put([float(s.waiting) for s in steps])
        began = f"since {formats.clock(samples.began_at)}" if samples.began_at else ""
        block = self.glyphs.blocks[8]
        self.query_one("#throughput-title", Line).put(
            Text.assemble(
                " ATTEMPTS A MINUTE  ",
                (f"{block} successful  ", theme.style(theme.GOOD)),
                (f"{block} failed", theme.style(theme.BAD)),
            ),
            Text(f"{began} ", theme.style(theme.DIM)),
        )
        self.query_one("#backlog-title", Line).put(
            Text.assemble(" PENDING  ", (f"{block} jobs", theme.style(theme.WAIT)))
        )

    def _figures(self, snapshot: Snapshot, samples: Samples) -> Text:
        stats, wide = snapshot.stats, self.is_wide
        oldest = max((queue.oldest_seconds or 0.0 for queue in stats.queues), default=0.0)
        failed = samples.failed_per_minute
        silent = sum(worker.heartbeat_seconds > 30 for worker in stats.workers)
        number = formats.count if wide else formats.short
        about = "~" if "pending" in stats.estimated else ""
        none = self.glyphs.none
        figures = [
            ("pending" if wide else "pend", about + number(stats.pending), theme.WAIT if stats.pending else theme.TEXT),
            ("scheduled" if wide else "sched", number(stats.scheduled), theme.LATER if stats.scheduled else theme.TEXT),
            ("running" if wide else "run", number(stats.running), theme.BUSY if stats.running else theme.TEXT),
            ("ended/min" if wide else "end/m", formats.rate(samples.ended_per_minute, none), theme.TEXT),
            ("failed/min" if wide else "fail/m", formats.rate(failed, none), theme.BAD if failed else theme.TEXT),
            ("oldest" if wide else "old", formats.age(oldest) if stats.pending else none,
             theme.BAD if oldest > 300 else theme.TEXT),
            ("workers" if wide else "wrk", str(len(stats.workers)) + (f" ({silent} silent)" if silent else ""),
             theme.BAD if silent or not stats.workers else theme.TEXT),
        ]  # fmt: skip
        text = Text("", no_wrap=True)
        for words, value, colour in figures:
            text.append(f"  {words} " if wide else f" {words} ", theme.style(theme.DIM))
            text.append(value, theme.style(colour, bold=True))
        return text

    # Its lists

    def queue_columns(self) -> list[Column]:
        return [
            Column("QUEUE", self.queue_name, most=20),
            Column("PEND", lambda queue: formats.short(queue.pending), right=True, most=6),
            Column("RUN", lambda queue: formats.short(queue.running), right=True, most=5),
            Column("SCHED", lambda queue: formats.short(queue.scheduled), right=True, most=6, least=64),
            Column("OLDEST", self.queue_oldest, right=True, most=6),
            Column("EMPTY IN", self.queue_empty_in, right=True, most=9),
            Column("TREND", nothing, least=56, is_rest=True, fill=self.queue_trend),
        ]

    def trouble_columns(self) -> list[Column]:
        return [Column("", self.trouble_text, most=200, is_rest=True)]

    def running_columns(self) -> list[Column]:
        return [
            Column("", lambda job: f"#{job.id}", right=True, most=12),
            Column("", lambda job: job.job_class, most=30, is_rest=True),
            Column("", self.elapsed, right=True, most=8),
            Column("", lambda job: job.worker or "", most=22, least=50),
        ]

    def failure_columns(self) -> list[Column]:
        return [
            Column("", lambda job: formats.since(job.ended_at, self.console.now), right=True, most=5),
            Column("", lambda job: job.job_class, most=26),
            Column("", lambda job: Text(error_of(job), theme.style(theme.BAD)), is_rest=True),
        ]

    def queue_name(self, queue: QueueStats) -> Text:
        if queue.paused:
            return Text.assemble((f"{queue.name} {self.glyphs.paused}", theme.style(theme.WAIT)))
        return Text(queue.name)

    def queue_oldest(self, queue: QueueStats) -> Text:
        seconds = queue.oldest_seconds
        colour = theme.BAD if seconds is not None and seconds > 300 else theme.TEXT
        return Text(formats.age(seconds, self.glyphs.none), theme.style(colour))

    def queue_empty_in(self, queue: QueueStats) -> Text:
        word, colour = empty_in(queue, self.console.samples, self.console.snapshot, self.glyphs.none)
        return Text(word, theme.style(colour))

    def queue_trend(self, queue: QueueStats, width: int) -> Text:
        return trend(queue, self.console.samples, width, self.glyphs)

    def trouble_text(self, trouble: Trouble) -> Text:
        glyph = getattr(self.glyphs, trouble.kind)
        look = theme.style(theme.BAD if trouble.is_bad else theme.WAIT, bold=True)
        return Text.assemble((f"{glyph} ", look), trouble.text)

    def elapsed(self, job: JobRecord) -> str:
        return formats.between(job.started_at, self.console.now, self.glyphs.none)

    # Its keys

    def on_rows_opened(self, message: Rows.Opened) -> None:
        rows = message.rows
        current = rows.current
        if isinstance(current, Trouble):
            self.console.go(current.place)
        elif isinstance(current, QueueStats):
            self.console.go(Place("queues", filter=current.name))
        elif isinstance(current, JobRecord):
            self.console.open_job(current.id, [job.id for job in rows.items])

    def action_section(self, step: int = 1) -> None:
        lists = [rows for rows in self.query(Rows) if rows.display and rows.size.height]
        places = [place for place, rows in enumerate(lists) if rows.has_focus]
        lists[((places[0] if places else -1) + step) % len(lists)].focus()

    def why_not(self, action: Action) -> str | None:
        if action.name == "open":
            focused = self.focused
            if not isinstance(focused, Rows) or focused.current is None:
                return "there is nothing to open"
        return super().why_not(action)


def empty_in(queue: QueueStats, samples: Samples, snapshot: Snapshot | None, none: str) -> tuple[str, str]:
    """When a queue will be empty at the pace of the last minute, in a word and a colour."""
    if queue.paused:
        return "paused", theme.WAIT
    if not queue.pending:
        return none, theme.DIM
    if snapshot is not None and not is_worked(queue, snapshot):
        return "no worker", theme.BAD
    growth = samples.growth_per_minute(queue.name)
    if growth is None:
        return none, theme.DIM
    if growth > 0:
        return "growing", theme.BAD
    if growth == 0:
        return "steady", theme.TEXT
    return formats.duration(queue.pending / -growth * 60), theme.GOOD


def trend(queue: QueueStats, samples: Samples, width: int, glyphs: theme.Glyphs) -> Text:
    """How many waited in a queue since the console was opened, between the fewest and the most."""
    width = min(width, 60)
    values = samples.waiting(queue.name, MOST_STEPS)
    step = max(1, -(-len(values) // max(1, width)))
    shown = values[::-1][::step][::-1]
    least, most = min(shown, default=0.0), max(shown, default=0.0)
    if most == 0:
        return Text("·" * width, theme.style(theme.FAINT))
    floor = least if most - least > most / 50 else 0.0
    levels = "".join(glyphs.blocks[1 + round((value - floor) / (most - floor) * 7)] for value in shown)
    return Text(levels.rjust(width), theme.style(theme.DIM))


def nothing(_item: Any) -> str:
    return ""


def name_of(queue: QueueStats) -> str:
    return queue.name


def key_of(trouble: Trouble) -> str:
    return trouble.key


def id_of(job: JobRecord) -> int:
    return job.id
