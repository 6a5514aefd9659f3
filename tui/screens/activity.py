"""Who did what: the record of operators' acts, and the undo of the last ones."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from jobq.operate import GONE, UNDO_SECONDS, UNDOABLE
from jobq.records import ActRecord

from .. import formats, theme
from ..actions import Action
from ..messages import Answered
from ..source import Report
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen


class Activity(ConsoleScreen):
    NAME = "activity"
    MAIN = "acts"
    ACTIONS: ClassVar[tuple[str, ...]] = ("open", "undo")

    def __init__(self) -> None:
        super().__init__()
        self.acts: tuple[ActRecord, ...] = ()
        self.is_loaded = False

    def body(self) -> ComposeResult:
        yield Line(id="activity-title", classes="heading")
        yield Rows(self.columns(), key=lambda act: act.id, empty="", id="acts")
        yield Line(id="act-facts")

    def on_mount(self) -> None:
        self.rows.focus()

    @property
    def rows(self) -> Rows:
        return self.query_one("#acts", Rows)

    def looked(self) -> None:
        self.console.feed.ask(self, "audit", lambda source: source.audit())

    def acted(self, report: Report) -> None:
        self.looked()

    def on_answered(self, message: Answered) -> None:
        message.stop()
        self.acts, self.is_loaded = message.value, True
        self.paint()

    def paint(self) -> None:
        super().paint()
        if not self.is_mounted:
            return
        self.rows.empty = "nobody did anything yet" if self.is_loaded else f"looking{self.glyphs.more}"
        self.rows.put(self.acts)
        self.query_one("#activity-title", Line).put(Text(f" the last {formats.plural(len(self.acts), 'act')}"))
        self._paint_facts()
        self.paint_foot()

    def _paint_facts(self) -> None:
        act, line = self.rows.current, self.query_one("#act-facts", Line)
        if not isinstance(act, ActRecord):
            line.put(Text(""))
            return
        on = ", ".join(act.names) or ", ".join(f"#{job_id}" for job_id in act.ids[:12])
        more = f" and {formats.count(act.affected - 12)} more" if not act.names and act.affected > 12 else ""
        line.put(
            Text.assemble(
                *((" ", act.selection, " ") if act.selection is not None else ()),
                (" on ", theme.style(theme.DIM)), on + more,
                ("   database user ", theme.style(theme.DIM)), act.database_user,
                *((("   undoes act ", theme.style(theme.DIM)), str(act.undoes)) if act.undoes else ()),
            )
        )  # fmt: skip

    def columns(self) -> list[Column]:
        return [
            Column("WHEN", self.when, most=20),
            Column("WHO", lambda act: act.who, most=28),
            Column("WHAT", lambda act: act.verb, most=16),
            Column("HOW MANY", lambda act: formats.count(act.affected), right=True),
            Column("", self.undone, most=12),
            Column("WHICH", self.which, is_rest=True),
        ]

    def when(self, act: ActRecord) -> str:
        return formats.stamp(act.at, self.console.state.now, is_short=not self.is_wide)

    def undone(self, act: ActRecord) -> Text:
        if act.undone_at is not None:
            return Text("undone", theme.style(theme.DIM))
        if not self.can_undo(act):
            return Text("")
        return Text(f"{self.console.shown_key('undo')} undoes it", theme.style(theme.KEY))

    def can_undo(self, act: ActRecord) -> bool:
        return self.why_not_undone(act) is None

    def why_not_undone(self, act: ActRecord) -> str | None:
        age = (self.console.state.now - act.ended_at).total_seconds()
        if act.verb not in UNDOABLE:
            return "this act cannot be undone"
        if act.undone_at is not None:
            return "this act was undone already"
        if age >= UNDO_SECONDS:
            return f"this act was done {formats.duration(age)} ago: only within {UNDO_SECONDS:g} s can it be undone"
        return None if act.remaining != 0 else GONE[act.verb]

    def which(self, act: ActRecord) -> str:
        if act.names:
            return ", ".join(act.names) + (f": {act.selection}" if act.selection is not None else "")
        return act.selection if act.selection is not None else formats.listed([f"#{job_id}" for job_id in act.ids], 5)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._paint_facts()
        self.paint_foot()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        act = message.rows.current
        if isinstance(act, ActRecord) and act.ids:
            self.console.navigation.open_job(act.ids[0], act.ids)

    def action_undo(self) -> None:
        act = self.rows.current
        if isinstance(act, ActRecord) and self.allowed("undo"):
            self.console.acting.undo(act.id)

    def why_not(self, action: Action) -> str | None:
        act = self.rows.current
        if action.name == "undo" and isinstance(act, ActRecord):  # undoes that act, not the last one
            return self.why_not_undone(act) or self.why_barred(action) or self.console.acting.why_not()
        if action.name in ("open", "undo") and not isinstance(act, ActRecord):
            return "there is no act"
        if action.name == "open" and isinstance(act, ActRecord) and not act.ids:
            return "it was none of jobs"
        return super().why_not(action)
