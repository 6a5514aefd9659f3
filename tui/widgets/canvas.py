"""A widget that is drawn line by line, and sends to the terminal only the lines that changed."""

from typing import Self

from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

CLOSE = 16
"""Cells that cost no more bytes than moving the cursor over them."""


class Canvas(Widget):
    """Keeps the lines that are on the screen. `repaint` draws them again and compares."""

    _drawn_size = Size(0, 0)
    _is_due = False
    _ground: Style | None = None

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._drawn: dict[int, Strip] = {}

    def draw_line(self, y: int) -> Strip:
        raise NotImplementedError

    @property
    def ground(self) -> Style:
        """The style of the empty background: Textual goes through all parents of a widget to find it."""
        if self._ground is None:
            self._ground = self.rich_style
        return self._ground

    def render_line(self, y: int) -> Strip:
        if self._drawn_size != self.size:
            self._drawn, self._drawn_size = {}, self.size
        if y not in self._drawn:
            self._drawn[y] = self.draw_line(y)
        return self._drawn[y]

    def repaint(self) -> None:
        """Redraws the visible part after all current changes. Only changed lines go to the terminal."""
        if not self._is_due:
            self._is_due = True
            self.call_next(self._compare)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Textual calls it when colours, focus or size may have changed: redraws all lines."""
        if not regions:
            self._drawn, self._ground = {}, None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _compare(self) -> None:
        self._is_due = False
        if self._drawn_size != self.size or not self.screen.is_current:
            self.refresh()  # Textual draws it when it becomes visible
            return
        before, self._ground = self._drawn, None
        self._drawn = {y: self.draw_line(y) for y in before}
        changed = [part for y, strip in self._drawn.items() for part in changed_parts(before[y], strip, y)]
        if changed:
            self.refresh(*changed)


def changed_parts(before: Strip, after: Strip, y: int) -> list[Region]:
    """The parts of a line that changed. Parts that are close to each other are joined."""
    if before is after or before == after:
        return []
    one, other = cells_of(before), cells_of(after)
    if len(one) != len(other):
        return [Region(0, y, max(before.cell_length, after.cell_length), 1)]
    ends: list[list[int]] = []
    for place, (was, now) in enumerate(zip(one, other, strict=True)):
        if was == now:
            continue
        if ends and place - ends[-1][1] < CLOSE:
            ends[-1][1] = place + 1
        else:
            ends.append([place, place + 1])
    return [Region(start, y, end - start, 1) for start, end in ends]


def cells_of(strip: Strip) -> list[tuple[str, Style | None]]:
    """The content of each cell. Both cells of a wide character have all of it: neither may be left out."""
    cells: list[tuple[str, Style | None]] = []
    for text, style, _ in strip:
        for character in text:
            width = 1 if character.isascii() else cell_len(character)
            if width:
                cells += [(character, style)] * width
            elif cells:
                cells[-1] = (cells[-1][0] + character, style)
    return cells
