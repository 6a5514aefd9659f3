"""Gates and their lanes as rows: what runs of how many, what waits, and what operators have set."""

from datetime import datetime

from rich.text import Text

from jobq.observe import GATE_LANES_LIMIT, LANE_LIMIT
from jobq.records import WAITING_LIMIT, GateStats, LaneStats

from .. import formats, theme
from ..context import Context
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows

MAX_GATES_SHOWN = 7
"""Rows of gates: more are reached by scrolling."""

NONE = "(none)"
"""Stands for the lane of jobs that name none."""


def gate_columns(console: Context) -> list[Column]:
    glyphs = console.glyphs
    return [
        Column("GATE", lambda gate: name_text(gate, console), most=40),
        Column("RUNNING", lambda gate: running_text(gate.running, gate.limit), right=True),
        Column("RATE", rate_text, least=96, most=24),
        Column("LANES", lambda gate: lanes_text(gate, glyphs.none), right=True),
        Column("WAITING", lambda gate: formats.at_least(gate.waiting, WAITING_LIMIT), right=True),
        Column("OLDEST", lambda gate: formats.duration(gate.oldest_seconds, glyphs.none), right=True),
        Column("", lambda gate: note_text(gate, console.state.now), is_rest=True),
    ]


def lane_columns(console: Context, gate: GateStats) -> list[Column]:
    def limit_of(lane: LaneStats) -> int | None:
        return gate.lane_limit if lane.set_limit is None else lane.set_limit

    return [
        Column("LANE", lambda lane: name_text(lane, console), most=40),
        Column("RUNNING", lambda lane: running_text(lane.running, limit_of(lane)), right=True),
        Column("WAITING", lambda lane: formats.at_least(lane.waiting, LANE_LIMIT), right=True),
        Column("OLDEST", lambda lane: formats.duration(lane.oldest_seconds, console.glyphs.none), right=True),
        Column("", lambda lane: note_text(lane, console.state.now), is_rest=True),
    ]


def name_text(one: GateStats | LaneStats, console: Context) -> Text:
    name = one.name or NONE
    if one.paused_at is not None:
        return Text(f"{name} {console.glyphs.paused}", theme.style(theme.WAIT))
    return Text(name, theme.style(theme.TEXT if one.name else theme.DIM))


def running_text(running: int, limit: int | None) -> Text:
    if limit is None:
        return Text(formats.count(running))
    look = theme.WAIT if running >= limit else theme.TEXT
    return Text(f"{formats.count(running)}/{formats.count(limit)}", theme.style(look))


def rate_text(gate: GateStats) -> str:
    """How many in which time, and when the next may start where that is not now."""
    if gate.rate is None:
        return ""
    told = f"{formats.count(gate.rate)} in {formats.duration(gate.rate_seconds)}"
    return f"{told}, next {formats.duration(gate.next_start_seconds)}" if gate.next_start_seconds else told


def lanes_text(gate: GateStats, none: str) -> str:
    return formats.at_least(gate.lanes, GATE_LANES_LIMIT) if gate.has_lanes else none


def note_text(one: GateStats | LaneStats, now: datetime) -> Text:
    """What operators have set, and whether anybody declares it."""
    text = Text("")
    for words in (set_words(one, now), gate_paused_words(one, now)):
        if words:
            text.append(f"{'   ' if text else ''}{words}", theme.style(theme.WAIT))
    if isinstance(one, GateStats) and not one.is_declared:
        words = "no live worker declares it" if one.is_known else "no worker has declared it"
        text.append(f"{'   ' if text else ''}{words}", theme.style(theme.BAD))
    return text


def set_words(one: GateStats | LaneStats, now: datetime) -> str:
    if one.set_limit is None:
        return ""
    left = f" for {formats.span((one.set_until - now).total_seconds())} more" if one.set_until else ""
    by = f" by {one.set_by}" if one.set_by else ""
    reason = f": {one.set_reason}" if one.set_reason else ""
    return f"limit set{by}{left}{reason}"


def gate_paused_words(one: GateStats | LaneStats, now: datetime) -> str:
    if one.paused_at is None:
        return ""
    left = f", {formats.span((one.paused_until - now).total_seconds())} more" if one.paused_until else ""
    by = f" by {one.paused_by}" if one.paused_by else ""
    reason = f": {one.pause_reason}" if one.pause_reason else ""
    return f"paused for {formats.since(one.paused_at, now)}{left}{by}{reason}"


def paint_gates(rows: Rows, title: Line, gates: tuple[GateStats, ...], glyphs: theme.Glyphs) -> None:
    """The list of the gates with its title; nothing where there is no gate."""
    rows.display = title.display = bool(gates)
    rows.styles.height = min(len(gates), MAX_GATES_SHOWN) + 1
    rows.put(gates)
    paused = sum(gate.paused_at is not None for gate in gates)
    words = Text(f" {formats.plural(len(gates), 'gate')}")
    if paused:
        words.append(f"   {glyphs.paused} {paused} paused", theme.style(theme.WAIT, bold=True))
    title.put(words)
