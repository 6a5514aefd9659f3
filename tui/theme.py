"""The look of things: the one place for colours, glyphs and their words. State is never shown by colour alone."""

from dataclasses import dataclass, replace
from functools import cache

from rich.style import Style
from textual.theme import Theme

from jobq.states import FINISHED, Outcome, State

BACKGROUND = "#15181e"
SURFACE = "#1a1e25"
PANEL = "#232933"
CURSOR = "#313c4d"
CURSOR_AWAY = "#262d38"
TEXT = "#d5dae2"
DIM = "#8590a0"
FAINT = "#4a5362"
KEY = "#e8bd6d"
GOOD = "#93bd78"
BAD = "#ec6f7a"
BUSY = "#6fb5ee"
WAIT = "#d3a66b"
LATER = "#b69ad0"
TEAL = "#62b8b4"
PINK = "#d9789f"

THEME = Theme(
    name="jobq",
    primary=BUSY,
    secondary=LATER,
    warning=WAIT,
    error=BAD,
    success=GOOD,
    accent=KEY,
    foreground=TEXT,
    background=BACKGROUND,
    surface=SURFACE,
    panel=PANEL,
    dark=True,
    variables={
        "dim": DIM,
        "faint": FAINT,
        "cursor-row": CURSOR,
        "key": KEY,
        "bad": BAD,
        "good": GOOD,
        "wait": WAIT,
        "input-selection-background": f"{BUSY} 35%",
        "scrollbar": FAINT,
        "scrollbar-background": SURFACE,
    },
)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters for drawing: one set for Unicode terminals, one for the others."""

    states: dict[str, str]
    blocks: str  # an empty one, then eight heights
    cursor: str = "▌"
    mark: str = "●"
    live: str = "●"
    frozen: str = "‖"
    trouble: str = "▲"
    silent: str = "◌"
    unknown: str = "?"
    at_least: str = "≥"
    paused: str = "‖"
    none: str = "—"
    more: str = "…"
    arrow: str = "─▶"
    rule: str = "─"
    enter: str = "↵"
    bar: str = "│"
    thumb: str = "┃"
    down: str = "↓"
    up: str = "↑"
    tick: str = "✓"
    cross: str = "✗"
    hand: str = "✎"
    late: str = "▲"
    curves: str = "braille"  # the characters of lines: one of the grids in `widgets.chart`
    curve_samples: tuple[str, str] = ("⠒", "⠒")  # a sample of the upper and of the lower line


UNICODE = Glyphs(
    states={
        State.PENDING: "…",
        State.GATED: "⊓",
        State.SCHEDULED: "◷",
        State.RUNNING: "▶",
        FINISHED: "■",
        Outcome.SUCCESSFUL: "✓",
        Outcome.ERRORED: "✗",
        Outcome.CANCELLED: "⊘",
        Outcome.DEFERRED: "↺",
        Outcome.LOST: "☠",
    },
    blocks=" ▁▂▃▄▅▆▇█",
)

ASCII = Glyphs(
    states={
        State.PENDING: ".",
        State.GATED: "=",
        State.SCHEDULED: "@",
        State.RUNNING: ">",
        FINISHED: "#",
        Outcome.SUCCESSFUL: "+",
        Outcome.ERRORED: "x",
        Outcome.CANCELLED: "/",
        Outcome.DEFERRED: "~",
        Outcome.LOST: "!",
    },
    blocks=" ...::##|"[:9],
    cursor=">",
    mark="*",
    live="*",
    frozen="=",
    trouble="!",
    silent="o",
    unknown="?",
    at_least=">=",
    paused="=",
    none="-",
    more="~",
    arrow="->",
    rule="-",
    enter="enter",
    bar="|",
    thumb="#",
    down="v",
    up="^",
    tick="+",
    cross="x",
    hand="%",
    late="!",
    curves="ascii",
    curve_samples=("*", "."),
)

BLOCKS = replace(UNICODE, curves="blocks", curve_samples=("▀", "▀"))
"""For terminals whose font has no Braille, such as the Linux console."""

COLOURS: dict[str, str] = {
    State.PENDING: WAIT,
    State.GATED: TEAL,
    State.SCHEDULED: LATER,
    State.RUNNING: BUSY,
    FINISHED: TEXT,
    Outcome.SUCCESSFUL: GOOD,
    Outcome.ERRORED: BAD,
    Outcome.CANCELLED: DIM,
    Outcome.DEFERRED: TEAL,
    Outcome.LOST: PINK,
}
"""For each state and outcome."""


def colour(word: str) -> str:
    return COLOURS.get(word, TEXT)


@cache
def style(colour: str, *, bold: bool = False, reverse: bool = False) -> Style:
    return Style(color=colour, bold=bold, reverse=reverse)
