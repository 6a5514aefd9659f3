"""Are the queues keeping up?"""

from datetime import datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from jobq.commands import term
from jobq.observe import is_old
from jobq.records import GateStats, JobRecord, QueueStats, WorkerRecord
from jobq.states import State

from .. import formats, theme
from ..actions import UNDO_FOR, Action, Tier, bindings
from ..context import Context
from ..plans import Plan
from ..scope import Scope
from ..source import COUNT_LIMIT, VIEW_BY_NAME
from ..troubles import Place, workers_of
from ..widgets.chart import Columns
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen
from .figures_text import empty_in, figures_of, flow_of, growth_of, p95, trend, trend_words
from .gate_acts import limit_gate, pause_gate, set_limit, why_not_gate
from .gate_columns import gate_columns, note_text, paint_gates
from .lanes import Lanes
from .running_columns import running_columns
from .sections import next_list
from .set_limit import SetLimit
from .sorting import next_order, sorted_by


class Queues(ConsoleScreen):
    NAME = "queues"
    MAIN = "queues"
    ACTIONS: ClassVar[tuple[str, ...]] = (
        "open",
        "pause",
        "limit",
        "cancel",
        "range_less",
        "range_more",
        "sort",
        "enqueue",
        "undo",
        "section",
    )
    BINDINGS: ClassVar[list[Any]] = bindings("pause", "limit", "cancel", "sort", "section")

    def __init__(self) -> None:
        super().__init__()
        self.sort: tuple[str, bool] | None = None

    def body(self) -> ComposeResult:
        yield Line(id="queues-title", classes="heading")
        yield Rows(self.columns(), key=lambda queue: queue.name, empty="no queue holds a job", id="queues")
        yield Line(id="gates-title", classes="heading")
        yield Rows(gate_columns(self.console), key=lambda gate: gate.name, empty="", id="gates")
        with Horizontal(id="queue"):
            with Vertical(classes="part"):
                yield Line(id="waiting-title", classes="heading")
                yield Columns(theme.WAIT, id="waiting")
            with Vertical(classes="part"):
                yield Line(id="running-title", classes="heading")
                columns = running_columns(self.console)
                yield Rows(columns, key=id_of, empty="nothing runs", has_titles=False, id="running")
            with Vertical(id="queue-workers", classes="part"):
                yield Line(id="working-title", classes="heading")
                yield Rows(worker_columns(), key=id_of, empty="no live worker", has_titles=False, id="working")
        yield Line(id="queue-facts")

    def on_mount(self) -> None:
        self.rows.focus()

    @property
    def rows(self) -> Rows:
        return self.query_one("#queues", Rows)

    @property
    def gates(self) -> Rows:
        return self.query_one("#gates", Rows)

    @property
    def gate(self) -> GateStats | None:
        """The gate that the keys are about: where the cursor is in their list."""
        return self.gates.current if self.gates.has_focus else None

    def show_place(self, place: Place) -> None:
        rows = self.gates if place.view == "gates" else self.rows
        rows.focus()
        self.call_later(rows.go_to, place.filter)

    def paint(self) -> None:
        super().paint()
        snapshot = self.console.state.snapshot
        if snapshot is None or not self.is_mounted:
            return
        queues = list(snapshot.stats.queues)
        if self.sort is not None:
            queues = sorted_by(self.rows.columns, queues, self.sort)
        self.rows.sorted_by = self.sort
        self.rows.put(queues)
        about = "  (the longest are counted no further)" if "pending" in snapshot.stats.estimated else ""
        title = Text(f" {formats.plural(len(queues), 'queue')}{about}")
        self.query_one("#queues-title", Line).put(title, trend_words(self.console.state.samples))
        paint_gates(self.gates, self.query_one("#gates-title", Line), snapshot.stats.gates, self.glyphs)
        self._paint_queue()
        self.paint_foot()

    def _paint_queue(self) -> None:
        """Details of the queue under the cursor."""
        queue, snapshot = self.rows.current, self.console.state.snapshot
        name = queue.name if isinstance(queue, QueueStats) else ""
        running = [job for job in snapshot.running if job.queue == name] if snapshot is not None else []
        workers = workers_of(queue, snapshot) if isinstance(queue, QueueStats) else []
        for title, words in (("waiting", "PENDING"), ("running", "RUNNING LONGEST"), ("working", "WORKERS")):
            self.query_one(f"#{title}-title", Line).put(Text(f" {words} in {name}" if name else f" {words}"))
        chart, samples = self.query_one("#waiting", Columns), self.console.state.samples
        chart.put(samples.waiting(name, chart.room), span=samples.span)
        self.query_one("#running", Rows).put(running)
        self.query_one("#working", Rows).put(workers)
        self._paint_facts()

    def on_descendant_focus(self) -> None:
        super().on_descendant_focus()
        self._paint_facts()

    def _paint_facts(self) -> None:
        if (gate := self.gate) is not None:
            facts = note_text(gate, self.console.state.now)
            self.query_one("#queue-facts", Line).put(Text.assemble(f" {gate.name}: ", facts or "open"))
            return
        queue, snapshot = self.rows.current, self.console.state.snapshot
        if not isinstance(queue, QueueStats) or snapshot is None:
            self.query_one("#queue-facts", Line).put(Text(""))
            return
        workers = [one.name for one in workers_of(queue, self.console.state.snapshot)]
        worked = f"worked by {formats.listed(workers)}" if workers else "no live worker works it"
        look = theme.DIM if workers else theme.BAD
        text = Text.assemble(f" {queue.name}: ", (worked, theme.style(look)))
        if (figures := figures_of(snapshot, queue.name)) is not None and figures.failed_attempts:
            failed = f"   {formats.count(figures.failed_jobs)} of {formats.plural(figures.ended, 'job')} failed"
            failed += f", {formats.count(figures.failed_attempts)} of {formats.plural(figures.attempts, 'attempt')}"
            text.append(failed, theme.style(theme.BAD))
        if queue.paused:
            words = paused_words(queue, self.console.state.now)
            text.append(f"   {self.glyphs.paused} {words}", theme.style(theme.WAIT))
        coming = next((one for one in snapshot.forecasts if one.queue == queue.name), None)
        right = Text(f"{coming.text} ", theme.style(theme.DIM)) if coming is not None and not queue.paused else None
        self.query_one("#queue-facts", Line).put(text, right)

    def columns(self) -> list[Column]:
        return [
            Column("QUEUE", self.name_of, most=40, order=lambda queue: queue.name),
            Column("PENDING", lambda queue: formats.at_least(queue.pending, COUNT_LIMIT), right=True,
                   order=lambda queue: queue.pending),
            Column("RUNNING", self.running, right=True,
                   order=lambda queue: queue.running),
            Column("SCHEDULED", self.scheduled, right=True, least=96,
                   order=lambda queue: queue.scheduled),
            Column("OLDEST", self.oldest, right=True, order=lambda queue: queue.oldest_seconds or -1),
            Column("IN/MIN", self.came_in, right=True, least=72),
            Column("OUT/MIN", self.went_out, right=True, least=72),
            Column("GROWTH/MIN", self.growth, right=True, least=80),
            Column("P95 WAIT", self.wait, right=True, least=96),
            Column("EMPTY IN", self.empty_in, right=True),
            Column("TREND", least=120, is_rest=True, fill=self.trend),
        ]  # fmt: skip

    def name_of(self, queue: QueueStats) -> Text:
        if queue.paused:
            return Text.assemble((f"{queue.name} {self.glyphs.paused}", theme.style(theme.WAIT)))
        return Text(queue.name)

    def running(self, queue: QueueStats) -> str:
        """Out of the processes that could work it if there were nothing else to do."""
        processes = sum(worker.processes for worker in workers_of(queue, self.console.state.snapshot))
        return f"{formats.count(queue.running)}/{formats.count(processes)}"

    def scheduled(self, queue: QueueStats) -> str:
        """All queues are counted together: if there are too many jobs, each queue may have more."""
        snapshot = self.console.state.snapshot
        more = "+" if snapshot is not None and "scheduled" in snapshot.stats.estimated else ""
        return f"{formats.count(queue.scheduled)}{more}"

    def oldest(self, queue: QueueStats) -> Text:
        seconds = queue.oldest_seconds
        colour = theme.BAD if is_old(seconds) else theme.TEXT
        return Text(formats.duration(seconds, self.glyphs.none), theme.style(colour))

    def growth(self, queue: QueueStats) -> Text:
        growth = growth_of(queue, self.console.state.samples, self.console.state.snapshot)
        if growth is None:
            return Text(self.glyphs.none, theme.style(theme.DIM))
        sign = "+" if growth > 0 else ("-" if growth < 0 else "")
        colour = theme.BAD if growth > 0 else (theme.GOOD if growth < 0 else theme.DIM)
        return Text(f"{sign}{formats.rate(abs(growth))}", theme.style(colour))

    def came_in(self, queue: QueueStats) -> str:
        flow = flow_of(self.console.state.snapshot, queue.name)
        return self.glyphs.none if flow is None else per_minute(flow.came_in, flow.seconds, self.glyphs.none)

    def went_out(self, queue: QueueStats) -> str:
        """Over the same time as the jobs that came in, if that is known."""
        snapshot, figures = self.console.state.snapshot, figures_of(self.console.state.snapshot, queue.name)
        if (flow := flow_of(snapshot, queue.name)) is not None:
            return per_minute(flow.went_out, flow.seconds, self.glyphs.none)
        return formats.rate(figures.ended / snapshot.period.minutes) if figures and snapshot else self.glyphs.none

    def wait(self, queue: QueueStats) -> str:
        figures = figures_of(self.console.state.snapshot, queue.name)
        return p95(figures.wait(0.95), figures.few_waits, self.glyphs.none) if figures else self.glyphs.none

    def empty_in(self, queue: QueueStats) -> Text:
        word, colour = empty_in(queue, self.console.state.samples, self.console.state.snapshot, self.glyphs.none)
        return Text(word, theme.style(colour))

    def trend(self, queue: QueueStats, width: int) -> Text:
        return trend(queue, self.console.state.samples, width, self.glyphs)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        if message.rows is self.rows:
            self._paint_queue()
        self.paint_foot()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        current = message.rows.current
        if isinstance(current, GateStats):
            self.app.push_screen(Lanes(current))
        elif isinstance(current, QueueStats):
            self.console.navigation.go(Place("jobs", "pending", term("queue", current.name)))
        elif isinstance(current, JobRecord):
            self.console.navigation.open_job(current.id, [job.id for job in message.rows.items])
        elif isinstance(current, WorkerRecord):
            self.console.navigation.go(Place("workers", filter=current.name))

    def action_section(self) -> None:
        next_list(self)

    def action_sort(self) -> None:
        self.sort = next_order(self.rows.columns, self.sort, self.size.width)
        self.paint()

    def action_limit(self) -> None:
        if (gate := self.gate) is not None and self.allowed("limit"):
            dialog = limit_gate(self.console, SetLimit, gate)
            self.app.push_screen(dialog, lambda wish: set_limit(self.console, wish, gate))

    def action_pause(self) -> None:
        if (gate := self.gate) is not None:
            if self.allowed("pause"):
                pause_gate(self.console, gate)
            return
        queue = self.rows.current
        if isinstance(queue, QueueStats) and self.allowed("pause"):
            pause(self.console, queue)

    def action_cancel(self) -> None:
        """All pending jobs of the queue, or all jobs that wait at the gate."""
        if (gate := self.gate) is not None:
            if self.allowed("cancel"):
                query = self.console.source.query(VIEW_BY_NAME["gated"], term("gate", gate.name))
                self.console.acting.do("cancel", Scope(query=query))
            return
        queue = self.rows.current
        if isinstance(queue, QueueStats) and self.allowed("cancel"):
            query = self.console.source.query(VIEW_BY_NAME["pending"], term("queue", queue.name))
            self.console.acting.do("cancel", Scope(query=query))

    def why_not(self, action: Action) -> str | None:
        if (gate := self.gate) is not None:
            return why_not_gate(self.console, action, gate) or super().why_not(action)
        if action.name == "limit":
            return "only gates have one"
        queue = self.rows.current
        if action.name in ("open", "cancel", "pause") and queue is None:
            return "there is no queue"
        if action.name == "open" and isinstance(self.focused, Rows) and self.focused.current is None:
            return "there is nothing to open"
        if action.name == "cancel" and isinstance(queue, QueueStats) and not queue.pending:
            return f"no job is {State.PENDING} in this queue"
        return super().why_not(action)


def pause(console: Context, queue: QueueStats) -> None:
    """Asks, and pauses a queue for a reason, or resumes a paused one."""
    plan, name = plan_of_pause(console, queue), queue.name
    console.acting.do_for_reason(plan, lambda source, reason: source.act_on_queues(plan.verb, [name], reason or None))


def plan_of_pause(console: Context, queue: QueueStats) -> Plan:
    target, undo = console.source.target, f"{console.shown_key('undo')}, {UNDO_FOR}"
    where = f" on PROD {target.name}" if target.is_production else ""
    tier = Tier.TYPED if target.is_production else Tier.YES
    lines: tuple[tuple[str, str], ...]
    if queue.paused:
        lines = (
            ("now", paused_words(queue, console.state.now)),
            ("effect", "it is worked again"),
            ("undo", f"{undo}: it is paused again as it was"),
        )
        return Plan("resume", f"Resume {queue.name}{where}", lines, 1, tier, target.is_production)
    lines = (("effect", "nothing is started from it; what runs goes on"), ("undo", undo))
    return Plan("pause", f"Pause {queue.name}{where}", lines, 1, tier, target.is_production, asks_reason=True)


def id_of(record: JobRecord | WorkerRecord) -> int:
    return record.id


def worker_columns() -> list[Column]:
    return [
        Column("", lambda worker: worker.name, most=36, is_rest=True),
        Column("", lambda worker: f"{worker.running}/{worker.processes} running", right=True, most=20),
        Column("", lambda worker: ", ".join(worker.queues) or "all queues", most=40, least=60),
    ]


def per_minute(jobs: int | None, seconds: float, none: str) -> str:
    return none if jobs is None else formats.rate(jobs / (seconds / 60))


def paused_words(queue: QueueStats, now: datetime) -> str:
    """Since when, by whom, and why."""
    since = f" for {formats.since(queue.paused_at, now)}" if queue.paused_at is not None else ""
    by = f" by {queue.paused_by}" if queue.paused_by else ""
    reason = f": {queue.pause_reason}" if queue.pause_reason else ""
    return f"paused{since}{by}{reason}"
