"""Characters that `--ascii` draws instead: every terminal has them, and each replaces one."""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

PLAIN = str.maketrans("×·…⏎▌▏▎│┃─━↑↓←→", "x.~||||||--^v<>")

KEYS = {"↵": "enter", "←": "left", "→": "right", "↑": "up", "↓": "down"}
"""How keys are written in ASCII."""


class Plain(LineFilter):
    """Replaces characters in everything that is drawn. Other characters come from the jobs, and stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text.translate(PLAIN), style, control) for text, style, control in segments]
