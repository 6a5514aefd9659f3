"""The lanes of one gate: who waits, and how long? Opened from the list of gates."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult

from jobq.commands import term
from jobq.observe import LANES_LIMIT, Gated
from jobq.records import GateStats, LaneStats

from .. import formats, theme
from ..actions import VERBS, Action, bindings
from ..messages import Answered
from ..source import Report
from ..troubles import Place
from ..widgets.frame import Line
from ..widgets.rows import Rows
from .base import ConsoleScreen
from .gate_acts import limit_gate, pause_gate, set_limit
from .gate_columns import lane_columns, note_text, rate_text
from .set_limit import SetLimit


class Lanes(ConsoleScreen):
    NAME = "queues"
    WORDS = "Lanes"
    MAIN = "lanes"
    ACTIONS: ClassVar[tuple[str, ...]] = ("open", "pause", "limit", "undo", "back")
    VERBS: ClassVar[dict[str, str]] = {**VERBS, "pause": "pause gate"}
    BINDINGS: ClassVar[list[Any]] = bindings("pause", "limit", "back")

    def __init__(self, gate: GateStats) -> None:
        super().__init__()
        self.gate = gate
        self.found: Gated | None = None

    def body(self) -> ComposeResult:
        yield Line(id="lanes-title", classes="heading")
        yield Rows(lane_columns(self.console, self.gate), key=lambda lane: lane.name, empty="", id="lanes")
        yield Line(id="lanes-facts")

    def on_mount(self) -> None:
        self.rows.focus()
        self.looked()

    @property
    def rows(self) -> Rows:
        return self.query_one("#lanes", Rows)

    @property
    def lane(self) -> LaneStats | None:
        return self.rows.current

    # Reading

    def looked(self) -> None:
        self.console.feed.ask(self, "gate", lambda source: source.gate(self.gate.name), is_again=self.found is not None)

    def acted(self, report: Report) -> None:
        self.looked()

    def on_answered(self, message: Answered) -> None:
        message.stop()
        self.found, self.gate = message.value, message.value.gate
        self.rows.columns = lane_columns(self.console, self.gate)
        self.paint()

    # Drawing

    def paint(self) -> None:
        super().paint()
        if not self.is_mounted:
            return
        lanes = () if self.found is None else self.found.lanes
        self.rows.empty = f"looking{self.glyphs.more}" if self.found is None else "nothing waits or runs here"
        self.rows.put(lanes)
        more = f"  (the first {formats.count(LANES_LIMIT)} that wait)" if self.found and self.found.is_more else ""
        limit = "" if self.gate.limit is None else f" of {formats.count(self.gate.limit)}"
        runs = f"{formats.count(self.gate.running)}{limit} run"
        title = f" {self.gate.name}   {formats.plural(len(lanes), 'lane')}{more}   {runs}"
        self.query_one("#lanes-title", Line).put(Text(title), Text(f"{rate_text(self.gate)} "))
        facts = Text.assemble((f" {self.declared_words()}   ", theme.style(theme.DIM)))
        facts.append_text(note_text(self.gate, self.console.state.now))
        self.query_one("#lanes-facts", Line).put(facts)
        self.paint_foot()

    def declared_words(self) -> str:
        gate, words = self.gate, []
        if gate.lane_parameter is not None:
            words.append(f"by {gate.lane_parameter}")
        if gate.is_strict:
            words.append("strict order")
        elif gate.lane_limit is not None:
            words.append(f"{formats.count(gate.lane_limit)} at once in each")
        if gate.lane_rate is not None:
            words.append(f"{formats.count(gate.lane_rate)} in {formats.duration(gate.lane_rate_seconds)} in each")
        return f"lanes {', '.join(words)}" if words else "no limit for lanes"

    # Keys

    def on_rows_opened(self, _message: Rows.Opened) -> None:
        """The jobs that wait there."""
        if (lane := self.lane) is None:
            return
        chosen = term("gate", self.gate.name) + (f" {term('lane', lane.name)}" if lane.name else "")
        view = "gated" if lane.waiting else "running"
        self.app.pop_screen()
        self.console.navigation.go(Place("jobs", view, chosen))

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_pause(self) -> None:
        if self.lane is not None and self.allowed("pause"):
            pause_gate(self.console, self.gate, self.lane)

    def action_limit(self) -> None:
        gate, lane = self.gate, self.lane
        if lane is not None and self.allowed("limit"):
            dialog = limit_gate(self.console, SetLimit, gate, lane)
            self.app.push_screen(dialog, lambda wish: set_limit(self.console, wish, gate, lane))

    def why_not(self, action: Action) -> str | None:
        if action.name in ("open", "pause", "limit") and self.lane is None:
            return "there is no lane"
        if action.name in ("pause", "limit") and not self.gate.is_known:
            return "no worker has declared this gate yet"
        return super().why_not(action)
