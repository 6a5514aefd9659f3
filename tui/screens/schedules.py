"""Did it run, and when will it next?"""

from datetime import UTC, datetime
from math import ceil
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.observe import FEW
from jobq.records import ScheduleRecord, TickRecord

from .. import formats, theme
from ..actions import VERBS, Action, Tier, bindings
from ..messages import Answered
from ..plans import Plan
from ..troubles import Place
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen, state_text
from .coming import Coming
from .figures_text import p95
from .looking import look_up
from .sorting import next_order, sorted_by

VERDICTS = {
    "overlapped": "its last job was not done",
    "held": "an unfinished job held its key",
    "missed": "nothing ran at its time",
}


class Schedules(ConsoleScreen):
    NAME = "schedules"
    MAIN = "schedules"
    ACTIONS: ClassVar[tuple[str, ...]] = ("open", "run_now", "pause", "preview", "edit", "sort", "section", "undo")
    VERBS: ClassVar[dict[str, str]] = {**VERBS, "pause": "pause schedule", "edit": "enqueue"}
    BINDINGS: ClassVar[list[Any]] = bindings("run_now", "edit", "pause", "preview", "sort", "section")

    def __init__(self) -> None:
        super().__init__()
        self.records: tuple[ScheduleRecord, ...] = ()
        self.is_loaded = False
        self.sort: tuple[str, bool] | None = None

    def body(self) -> ComposeResult:
        yield Line(id="schedules-title", classes="heading")
        yield Rows(self.columns(), key=lambda record: record.name, empty="", id="schedules")
        with Vertical(id="schedule"):
            yield Line(id="schedule-title", classes="heading")
            yield Line(id="schedule-facts")
            yield Rows(self.tick_columns(), key=tick_key, empty="no tick yet", id="ticks")

    def on_mount(self) -> None:
        self.rows.focus()

    @property
    def rows(self) -> Rows:
        return self.query_one("#schedules", Rows)

    @property
    def ticks(self) -> Rows:
        return self.query_one("#ticks", Rows)

    def show_place(self, place: Place) -> None:
        self.call_later(self.rows.go_to, place.filter)

    # Reading

    def looked(self) -> None:
        self.console.feed.ask(self, "schedules", lambda source: source.schedules())

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "coming":
            self.app.push_screen(Coming(message.value, self.console.state.now))
            return
        self.records, self.is_loaded = message.value, True
        self.paint()

    # Drawing

    def paint(self) -> None:
        super().paint()
        if not self.is_mounted:
            return
        records = list(self.records)
        if self.sort is not None:
            records = sorted_by(self.rows.columns, records, self.sort)
        self.rows.sorted_by = self.sort
        self.rows.empty = "no schedule is declared" if self.is_loaded else f"looking{self.glyphs.more}"
        self.rows.put(records)
        paused = sum(record.paused_at is not None for record in records)
        title = Text(f" {formats.plural(len(records), 'schedule')}")
        if paused:
            title.append(f"   {self.glyphs.paused} {paused} paused", theme.style(theme.WAIT, bold=True))
        self.query_one("#schedules-title", Line).put(title)
        self._paint_schedule()
        self.paint_foot()

    def _paint_schedule(self) -> None:
        record = self.rows.current
        title, facts = self.query_one("#schedule-title", Line), self.query_one("#schedule-facts", Line)
        if not isinstance(record, ScheduleRecord):
            title.put(Text(""))
            facts.put(Text(""))
            self.ticks.put([])
            return
        words = f"{record.words}   " if record.words is not None else ""
        title.put(Text(f" {record.name}   {record.expression}   {words}{record.timezone}"))
        upcoming = ", ".join(local(tick, record.timezone, self.console.state.now) for tick in record.upcoming)
        facts.put(
            Text.assemble(
                *named(" next", upcoming or self.glyphs.none),
                *named("missed", record.missed),
                *named("overlap", record.overlap),
                *named("queue", record.queue),
                *named("args", formats.arguments(record.arguments, 80) or self.glyphs.none),
            )
        )
        self.ticks.put(record.runs)

    def columns(self) -> list[Column]:
        return [
            Column("SCHEDULE", lambda record: record.name, most=30, order=lambda record: record.name),
            Column("WHEN", lambda record: record.words or record.expression, most=34, least=90),
            Column("CLASS", lambda record: record.job_class, most=34, least=140, order=lambda record: record.job_class),
            Column("LAST", self.last, most=22),
            Column(
                "NEXT", self.next, right=True, order=lambda record: record.next_at or datetime.max.replace(tzinfo=UTC)
            ),
            Column("P95", self.p95, right=True, least=104),
            Column("STATE", self.state, most=24),
            Column("LAST RUNS", least=70, is_rest=True, fill=self.strip),
        ]

    def last(self, record: ScheduleRecord) -> Text:
        tick = record.last
        if tick is None:
            return Text("not yet", theme.style(theme.DIM))
        glyph, colour = self.look_of(tick)
        ran = f" {formats.duration(tick.run_seconds)}" if tick.run_seconds is not None else ""
        return Text.assemble(
            (f"{glyph} ", theme.style(colour)), f"{formats.since(tick.tick_at, self.console.state.now)} ago{ran}"
        )

    def p95(self, record: ScheduleRecord) -> str:
        """The usual run time of its last runs. As everywhere, with few runs it would be the maximum: then the cell has
        their number."""
        ran = sorted(tick.run_seconds for tick in record.runs if tick.run_seconds is not None)
        if not ran:
            return self.glyphs.none
        return p95(ran[ceil(len(ran) * 0.95) - 1], len(ran) if len(ran) < FEW else None, self.glyphs.none)

    def next(self, record: ScheduleRecord) -> str:
        if record.next_at is None or record.paused_at is not None:
            return self.glyphs.none
        return formats.due(record.next_at, self.console.state.now)

    def state(self, record: ScheduleRecord) -> Text:
        if record.undeclared_at is not None:
            return Text("no worker declares it", theme.style(theme.BAD))
        if record.paused_at is not None:
            by = f" by {record.paused_by}" if record.paused_by else ""
            return Text(f"{self.glyphs.paused} paused{by}", theme.style(theme.WAIT))
        if record.words is None:
            return Text("cannot be read", theme.style(theme.BAD))
        return Text("on", theme.style(theme.GOOD))

    def strip(self, record: ScheduleRecord, width: int) -> Text:
        """The last runs, the latest on the right."""
        text = Text("")
        for tick in reversed(record.runs[:width]):
            glyph, colour = self.look_of(tick)
            text.append(glyph, theme.style(colour))
        return text

    def look_of(self, tick: TickRecord) -> tuple[str, str]:
        """A tick as one glyph and its colour."""
        if tick.job_id is None:
            return self.glyphs.none, theme.WAIT
        word = tick.standing or ""
        return self.glyphs.states.get(word, "·"), theme.colour(word)

    def tick_columns(self) -> list[Column]:
        return [
            Column("TICK", lambda tick: formats.stamp(tick.tick_at, self.console.state.now), most=20),
            Column("WHAT BECAME OF IT", self.standing, most=40),
            Column("RAN", lambda tick: formats.duration(tick.run_seconds, self.glyphs.none), right=True),
            Column("JOB", lambda tick: f"#{tick.job_id}" if tick.job_id else "", right=True),
            Column("", self.remark, is_rest=True),
        ]

    def standing(self, tick: TickRecord) -> Text:
        if tick.job_id is None:
            return Text(f"no job: {VERDICTS.get(tick.verdict, tick.verdict)}", theme.style(theme.WAIT))
        if tick.standing is None:
            return Text("the job is no longer known", theme.style(theme.DIM))
        return state_text(self.glyphs, tick.standing)

    def remark(self, tick: TickRecord) -> Text:
        words = ["by hand"] if tick.by_hand else []
        if tick.passed:
            words.append(f"also for {formats.plural(tick.passed, 'missed tick')}")
        return Text(", ".join(words), theme.style(theme.DIM))

    # Keys

    def on_rows_moved(self, message: Rows.Moved) -> None:
        if message.rows is self.rows:
            self._paint_schedule()
        self.paint_foot()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        if message.rows is self.rows:
            self.ticks.focus()
            return
        tick = message.rows.current
        if isinstance(tick, TickRecord) and tick.job_id is not None:
            self.console.navigation.open_job(tick.job_id)

    def action_section(self) -> None:
        (self.rows if self.ticks.has_focus else self.ticks).focus()

    def action_sort(self) -> None:
        self.sort = next_order(self.rows.columns, self.sort, self.size.width)
        self.paint()

    def action_run_now(self) -> None:
        record = self.rows.current
        if not isinstance(record, ScheduleRecord) or not self.allowed("run_now"):
            return
        name, target = record.name, self.console.source.target
        where = f" on PROD {target.name}" if target.is_production else ""
        lines = (
            ("class", f"{record.job_class}  {formats.arguments(record.arguments, 60)}"),
            ("effect", f"one job in queue {record.queue}, now; its ticks stay as they are"),
            ("undo", "cancel the job before it starts"),
        )
        tier = Tier.TYPED if target.is_production else Tier.YES
        plan = Plan("run", f"Run {name} now{where}", lines, 1, tier, is_bad=target.is_production)
        self.console.acting.do_named(plan, lambda source: source.act_on_schedules("run", [name]))

    def action_edit(self) -> None:
        """A schedule is the application's code. To change it for once, an operator enqueues one job of it."""
        from .enqueue import Enqueue, model_of_schedule

        record = self.rows.current
        if isinstance(record, ScheduleRecord) and self.allowed("edit"):
            self.app.push_screen(Enqueue(model_of_schedule(record)))

    def action_pause(self) -> None:
        record = self.rows.current
        if not isinstance(record, ScheduleRecord) or not self.allowed("pause"):
            return
        verb, name = ("resume" if record.paused_at is not None else "pause"), record.name
        target = self.console.source.target
        plan = None
        if target.is_production:
            lines = (
                ("effect", "its ticks pass without a job" if verb == "pause" else "it fires from its next tick on"),
            )
            plan = Plan(verb, f"{verb.capitalize()} {name} on PROD {target.name}", lines, 1, Tier.TYPED, is_bad=True)
        self.console.acting.do_named(plan, lambda source: source.act_on_schedules(verb, [name]))

    def action_preview(self) -> None:
        look_up(self, "coming", "What comes in 24 hours", lambda source: source.preview(24.0))

    def why_not(self, action: Action) -> str | None:
        record = self.rows.current
        if action.name in ("run_now", "edit", "pause") and not isinstance(record, ScheduleRecord):
            return "there is no schedule"
        if action.name == "run_now" and isinstance(record, ScheduleRecord) and record.undeclared_at is not None:
            return "no live worker declares it"
        if action.name == "open":
            focused = self.focused
            current = focused.current if isinstance(focused, Rows) else None
            if current is None or (isinstance(current, TickRecord) and current.job_id is None):
                return "there is nothing to open"
        return super().why_not(action)


def tick_key(tick: TickRecord) -> tuple[datetime, datetime]:
    return (tick.tick_at, tick.fired_at)


def named(name: str, value: str) -> tuple[tuple[str, Any], str]:
    return (f"{name} ", theme.style(theme.DIM)), f"{value}   "


def local(moment: datetime, timezone: str, now: datetime) -> str:
    """A time in the schedule's own time zone, with the date if it is another day."""
    try:
        zone: Any = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = UTC
    there = moment.astimezone(zone)
    return f"{there:%H:%M}" if there.date() == now.astimezone(zone).date() else f"{there:%a %d %H:%M}"
