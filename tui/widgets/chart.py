"""A chart of columns: what went well below, what went wrong on top of it; or one figure over time."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from .. import theme
from ..formats import short

LABEL = 7
BELOW = "▒"
"""What wrong columns are drawn with where there is no colour to tell them by."""


class Columns(Widget):
    """The youngest value is at the right."""

    def __init__(self, colour: str, above: str = theme.BAD, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._colours = (colour, above)
        self._values: list[tuple[float, float]] = []

    def put(self, below: Sequence[float], above: Sequence[float] | None = None) -> None:
        self._values = list(zip(below, above or [0.0] * len(below), strict=True))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        room = max(1, width - LABEL - 1)
        values = self._values[-room:]
        top = nice(max((low + high for low, high in values), default=0.0))
        segments = [Segment(self._label(y, height, top), theme.style(theme.DIM))]
        ground = "·" if y == height - 1 else " "
        segments.append(Segment(ground * (room - len(values)), theme.style(theme.FAINT)))
        floor = (height - 1 - y) * 8
        for low, high in values:
            segments.append(self._cell(low / top * height * 8, (low + high) / top * height * 8, floor, y == height - 1))
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _label(self, y: int, height: int, top: float) -> str:
        text = short(top) if y == 0 else ("0" if y == height - 1 else "")
        if height >= 6 and height % 2 == 0 and y == height // 2 and top >= 10:
            text = short(top / 2)
        return f"{text:>{LABEL - 1}} "

    def _cell(self, low: float, high: float, floor: int, is_last: bool) -> Segment:
        """One character: its lower part is what went well, what is above it what did not."""
        blocks = self.app.glyphs.blocks  # type: ignore[attr-defined]  # the console has them
        below, above = self._colours
        filled, reached = min(8, max(0, round(low - floor))), min(8, max(0, round(high - floor)))
        is_plain = self.app.no_color
        if filled >= 8:
            return Segment(blocks[8], theme.style(below))
        if filled > 0 and reached > filled:
            return Segment(blocks[filled], Style(color=below, bgcolor=above if reached >= 8 else None))
        if filled > 0:
            return Segment(blocks[filled], theme.style(below))
        if reached > 0:
            return Segment(BELOW if is_plain and blocks[8] == "█" else blocks[reached], theme.style(above))
        if high > 0 and is_last:
            return Segment(blocks[1], theme.style(above if low <= 0 else below))
        return Segment("·" if is_last else " ", theme.style(theme.FAINT))


def nice(value: float) -> float:
    """The next round number."""
    if value <= 0:
        return 1.0
    size = 1.0
    while True:
        for step in (1, 1.5, 2, 3, 4, 5, 6, 8):
            if size * step >= value:
                return size * step
        size *= 10
