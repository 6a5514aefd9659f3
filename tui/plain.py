"""What `--ascii` draws instead: characters that every terminal has, one for one."""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

PLAIN = str.maketrans("×·…⏎▌▏▎│┃─━↑↓←→", "x.~||||||--^v<>")

KEYS = {"↵": "enter", "←": "left", "→": "right", "↑": "up", "↓": "down"}
"""How keys are written with them."""


class Plain(LineFilter):
    """Has the last word on what is drawn. What else is not ASCII comes from the jobs, and stays."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text.translate(PLAIN), style, control) for text, style, control in segments]
