"""Charts: columns with successes below and failures on top, and two figures over time as lines.

If they know the time that they cover, their last line shows it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .. import theme
from ..formats import short
from .canvas import Canvas

LABEL = 7
BELOW = "▒"
"""The glyph of failures where there is no colour."""


Span = tuple[datetime, datetime]
"""From the first moment of a chart to its last."""


class Columns(Canvas):
    """The latest value is on the right."""

    def __init__(self, colour: str, above: str = theme.BAD, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._colours = (colour, above)
        self._values: list[tuple[float, float]] = []
        self._span: Span | None = None
        self._marks: tuple[datetime, ...] = ()  # moments that the axis marks

    def put(
        self,
        below: Sequence[float],
        above: Sequence[float] | None = None,
        span: Span | None = None,
        marks: Sequence[datetime] = (),
    ) -> None:
        values = list(zip(below, above or [0.0] * len(below), strict=True))
        if (values, span, tuple(marks)) != (self._values, self._span, self._marks):
            self._values, self._span, self._marks = values, span, tuple(marks)
            self.repaint()

    @property
    def room(self) -> int:
        """The number of values that fit."""
        return max(1, self.size.width - LABEL - 1)

    def draw_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        room = self.room
        values = self._values[-room:]
        if self._span is not None:
            height -= 1
            if y == height:
                shown = part_of(self._span, len(values), len(self._values))
                axis = axis_text(shown, len(values))
                segments = [Segment(" " * (LABEL + room - len(values)), theme.style(theme.DIM))]
                segments += self._marked(axis, places_of(self._marks, shown, len(values)))
                return Strip(segments).adjust_cell_length(width, self.ground).apply_style(self.ground)
        top = nice(max((low + high for low, high in values), default=0.0))
        segments = [Segment(self._label(y, height, top), theme.style(theme.DIM))]
        ground = "·" if y == height - 1 else " "
        segments.append(Segment(ground * (room - len(values)), theme.style(theme.FAINT)))
        floor = (height - 1 - y) * 8
        for low, high in values:
            segments.append(self._cell(low / top * height * 8, (low + high) / top * height * 8, floor, y == height - 1))
        return Strip(segments).adjust_cell_length(width, self.ground).apply_style(self.ground)

    def _marked(self, axis: str, places: set[int]) -> list[Segment]:
        """The axis, with a mark in the place of each moment that has one."""
        up: str = self.app.glyphs.up  # type: ignore[attr-defined]  # the console has them
        mark = Segment(up, theme.style(theme.KEY, bold=True))
        return [mark if x in places else Segment(text, theme.style(theme.DIM)) for x, text in enumerate(axis)]

    def _label(self, y: int, height: int, top: float) -> str:
        text = short(top) if y == 0 else ("0" if y == height - 1 else "")
        if height >= 6 and height % 2 == 0 and y == height // 2 and top >= 10:
            text = short(top / 2)
        return f"{text:>{LABEL - 1}} "

    def _cell(self, low: float, high: float, floor: int, is_last: bool) -> Segment:
        """One character: its lower part shows successes, its upper part failures."""
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


class Curves(Canvas):
    """Two figures over time as lines, the latest on the right; a gap where a value is missing.

    A cell has two by four dots of Braille; two halves of a block, if the font has no Braille; or one dot, if the
    terminal has only ASCII.
    """

    def __init__(self, colours: tuple[str, str], label: Callable[[float], str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._colours = colours
        self._label = label
        self._values: list[tuple[float | None, float | None]] = []
        self._cells: tuple[object, list[list[Segment]]] | None = None
        self._span: Span | None = None

    def put(self, upper: Sequence[float | None], lower: Sequence[float | None], span: Span | None = None) -> None:
        values = list(zip(upper, lower, strict=True))
        if (values, span) != (self._values, self._span):
            self._values, self._span, self._cells = values, span, None
            self.repaint()

    def draw_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        if self._span is not None:
            height -= 1
            if y == height:
                axis = Segment(" " * LABEL + axis_text(self._span, max(1, width - LABEL - 1)), theme.style(theme.DIM))
                return Strip([axis]).adjust_cell_length(width, self.ground).apply_style(self.ground)
        if self._cells is None or self._cells[0] != self.size:
            self._cells = (self.size, self._draw(max(1, width - LABEL - 1), height))
        label = Segment(self._scale(y, height), theme.style(theme.DIM))
        strip = Strip([label, *self._cells[1][y]])
        return strip.adjust_cell_length(width, self.ground).apply_style(self.ground)

    @property
    def _top(self) -> float:
        return nice(max((value for pair in self._values for value in pair if value is not None), default=0.0))

    def _scale(self, y: int, height: int) -> str:
        has_any = any(value is not None for pair in self._values for value in pair)
        text = self._label(self._top) if y == 0 and has_any else ("0" if y == height - 1 else "")
        return f"{text:>{LABEL - 1}} "

    def _draw(self, width: int, height: int) -> list[list[Segment]]:
        grid: str = self.app.glyphs.curves  # type: ignore[attr-defined]  # the console has them
        across, down = GRIDS[grid]
        figures = zip(*self._values, strict=True) if self._values else ((), ())
        lines = [dots_of(values, width * across, height * down, self._top) for values in figures]

        def cell(x: int, y: int) -> Segment:
            columns = [line[x * across : (x + 1) * across] for line in lines]
            above = (height - y) * down - 1  # the uppermost row of dots in this line of cells
            dots = [
                [BITS[row][x] for x, taken in enumerate(column) for row in range(down) if above - row in taken]
                for column in columns
            ]
            return self._cell(dots, grid)

        return [[cell(x, y) for x in range(width)] for y in range(height)]

    def _cell(self, dots: list[list[int]], grid: str) -> Segment:
        """One character, in the colour of the upper line if both cross it."""
        bits = sum(1 << bit for bit in {*dots[0], *dots[1]})
        for which, found in enumerate(dots):
            if found:
                shown = {"braille": chr(0x2800 + bits), "blocks": HALVES[bits % 4], "ascii": "*."[which]}[grid]
                return Segment(shown, theme.style(self._colours[which]))
        return Segment(" ", theme.style(theme.FAINT))


def part_of(span: Span, shown: int, all_of_them: int) -> Span:
    """The time of the last `shown` columns, if not all fit."""
    since, until = span
    return until - (until - since) * shown / max(1, all_of_them), until


def places_of(marks: Sequence[datetime], span: Span, width: int) -> set[int]:
    """The columns of the moments that are shown."""
    since, until = span
    seconds = (until - since).total_seconds()
    return {
        min(width - 1, int((mark - since).total_seconds() / seconds * width))
        for mark in marks
        if seconds > 0 and since <= mark <= until
    }


def axis_text(span: Span, width: int) -> str:
    """The first moment on the left, the last on the right, and one between if it fits; in UTC."""
    since, until = span
    seconds = (until - since).total_seconds()
    form = "%H:%M:%S" if seconds < SHORT_SPAN else "%H:%M" if seconds < LONG_SPAN else "%d %b %H:%M"
    first, middle, last = (f"{moment:{form}}" for moment in (since, since + (until - since) / 2, until))
    if width < len(first) + len(last) + 1:
        return last.rjust(width)[:width]
    text = first + last.rjust(width - len(first))
    if width >= 5 * len(middle):
        start = (width - len(middle)) // 2
        text = text[:start] + middle + text[start + len(middle) :]
    return text


SHORT_SPAN = 600.0
"""Up to this many seconds, labels need seconds: minutes alone would be the same at both ends."""

LONG_SPAN = 20 * 3600.0
"""From this many seconds on, labels need the date."""

GRIDS = {"braille": (2, 4), "blocks": (1, 2), "ascii": (1, 1)}
"""Number of dots in a character, across and down."""

HALVES = " ▀▄█"

BITS = ((0, 3), (1, 4), (2, 5), (6, 7))
"""The bits of a Braille character, from its upper to its lower dots: the left one and the right one."""


def dots_of(values: Sequence[float | None], width: int, height: int, top: float) -> list[range]:
    """For each column of dots, the rows that the line takes, counted from below: it starts where the last one ended."""
    taken: list[range] = []
    last: int | None = None
    for x in range(width):
        place = x * (len(values) - 1) / max(1, width - 1)
        left, right = (values[int(place)], values[min(int(place) + 1, len(values) - 1)]) if values else (None, None)
        if left is None or right is None:
            last = None if left is None else round(left / top * (height - 1))
            taken.append(range(0) if last is None else range(last, last + 1))
            continue
        here = round((left + (right - left) * (place % 1)) / top * (height - 1))
        start = here if last is None or last == here else (last + 1 if last < here else last - 1)
        taken.append(range(min(start, here), max(start, here) + 1))
        last = here
    return taken


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
