"""Text of many lines that scrolls: tracebacks, arguments, help. Folded to the width, drawn line by line."""

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.strip import Strip

from .. import theme
from .canvas import Canvas


class Lines(Canvas, can_focus=True):
    BINDINGS: ClassVar[list[Any]] = [
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("ctrl+d", "page(0.5)", show=False),
        Binding("ctrl+u", "page(-0.5)", show=False),
        Binding("home,g", "start", show=False),
        Binding("end,G", "end", show=False),
    ]

    def __init__(self, *, hang: int = 2, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """When a line is folded, the following lines are indented by `hang` cells."""
        super().__init__(id=id)
        self._hang = hang
        self._texts: list[Text] = []
        self._folded: list[Text] = []
        self._width = 0
        self.top = 0
        self._is_at_end = False  # stays at the end, whatever the size

    def put(self, texts: Iterable[Text], *, keep_place: bool = True, is_end_first: bool = False) -> None:
        """Shown from the start, or from the end with `is_end_first`. `keep_place` keeps the position."""
        self._texts = list(texts)
        self._width = 0
        if not keep_place:
            self.top, self._is_at_end = 0, is_end_first
        self._fold()
        self.repaint()

    @property
    def length(self) -> int:
        return len(self._folded)

    @property
    def below(self) -> int:
        """The number of lines that do not fit."""
        return max(0, len(self._folded) - self.top - self.size.height)

    def on_resize(self) -> None:
        self._fold()
        self._settle()

    def action_scroll(self, lines: int) -> None:
        self._go(self.top + lines)

    def action_page(self, pages: float) -> None:
        self._go(self.top + int(pages * self.size.height))

    def action_start(self) -> None:
        self._go(0)

    def action_end(self) -> None:
        self._go(len(self._folded))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-3)

    def _go(self, top: int) -> None:
        last = max(0, len(self._folded) - self.size.height)
        self.top = max(0, min(top, last))
        self._is_at_end = self.top == last > 0
        self.repaint()

    def _settle(self) -> None:
        """Its place among other lines, or in another size."""
        last = max(0, len(self._folded) - self.size.height)
        self.top = last if self._is_at_end else max(0, min(self.top, last))

    def _fold(self) -> None:
        width = self.size.width - 2
        if width < 4 or width == self._width:
            return
        self._width = width
        self._folded = [line for text in self._texts for line in folded(text, width, self._hang)]
        self._settle()
        self.repaint()

    def draw_line(self, y: int) -> Strip:
        width, place = self.size.width, self.top + y
        ground = self.ground
        if place >= len(self._folded):
            return Strip.blank(width, ground)
        line = self._folded[place]
        base = line.style if isinstance(line.style, Style) else Style.parse(line.style)
        segments = [
            Segment(segment.text, base + (segment.style or Style()))  # Rich forgets the style of a text without spans
            for segment in line.render(self.app.console)
            if segment.text != "\n"
        ]
        strip = Strip([Segment(" ", Style()), *segments]).adjust_cell_length(width - 1, ground)
        return Strip([*strip, self._edge(y)]).apply_style(ground)

    def _edge(self, y: int) -> Segment:
        count, height = len(self._folded), self.size.height
        if count <= height:
            return Segment(" ", Style())
        size = max(1, height * height // count)
        start = round(self.top / max(1, count - height) * (height - size))
        glyphs = self.app.glyphs  # type: ignore[attr-defined]  # the console has them
        is_thumb = start <= y < start + size
        return Segment(glyphs.thumb if is_thumb else glyphs.bar, theme.style(theme.DIM if is_thumb else theme.FAINT))


def folded(text: Text, width: int, hang: int = 2) -> list[Text]:
    """A line folded to this width. Following lines are indented."""
    if text.cell_len <= width:
        return [text]
    hang = hang if hang < width // 2 else 2
    lines: list[Text] = []
    rest = text
    while rest.cell_len > width and len(lines) < 200:
        cut = cut_at(rest.plain, width - (hang if lines else 0))
        first, rest = rest[:cut], rest[cut:]
        lines.append(set_in(first, hang) if lines else first)
    lines.append(set_in(rest, hang) if lines else rest)
    return lines


def set_in(text: Text, cells: int) -> Text:
    moved = Text(" " * cells, text.style)
    moved.append_text(text)
    return moved


def cut_at(text: str, width: int) -> int:
    """The number of characters that fit; if possible, up to the end of a word."""
    from rich.cells import get_character_cell_size

    taken = 0
    for place, character in enumerate(text):
        taken += get_character_cell_size(character)
        if taken > width:
            space = text.rfind(" ", max(1, place - 20), place)
            return space + 1 if space > 0 else max(1, place)
    return len(text)
