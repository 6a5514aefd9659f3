"""A list of rows under a line of titles: drawn line by line, so that its length costs nothing."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip

from .. import theme
from ..formats import cut, fit
from .canvas import Canvas

GAP = 2
LEAD = 3  # the cursor, the mark, a space
NARROWEST = 8


def nothing(_item: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, its cells, and how it gives way where there is little room.

    A cell is a text or a styled one. One column at most takes the remaining room.
    """

    title: str
    cell: Callable[[Any], str | Text] = nothing
    most: int = 14  # maximum width of its content
    right: bool = False
    least: int = 0  # shown if the list has at least this width
    is_rest: bool = False
    fill: Callable[[Any, int], str | Text] | None = None  # for a given width; `cell` is then used only to ask for room
    order: Callable[[Any], Any] | None = None  # the sort key
    is_fixed: bool = False  # it cannot be hidden


@dataclass(frozen=True, slots=True)
class Layout:
    """What a list is drawn with: the columns that fit, with their cells, and the lines of the scroll thumb."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    width: int
    thumb: range | None


class Rows(Canvas, can_focus=True):
    """The cursor, the marks and the place on the screen belong to rows by their keys, and follow them."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("ctrl+d", "page(0.5)", show=False),
        Binding("ctrl+u", "page(-0.5)", show=False),
        Binding("home,g", "top", show=False, id="top"),
        Binding("end,G", "bottom", show=False, id="bottom"),
        Binding("enter", "open", show=False, id="open"),
    ]

    class Moved(Message):
        """The cursor is on another row, or the list has scrolled."""

        def __init__(self, rows: "Rows") -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> "Rows":
            return self.rows

    class Opened(Moved):
        """A row was chosen."""

    class Topped(Moved):
        """The first row was requested."""

    def __init__(
        self,
        columns: Sequence[Column],
        key: Callable[[Any], Hashable],
        *,
        empty: str = "nothing here",
        has_titles: bool = True,
        id: str | None = None,  # noqa: A002 - as Textual calls it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.columns = list(columns)
        self.key = key
        self.empty = empty
        self.items: list[Any] = []
        self.marks: set[Hashable] = set()
        self.cursor = 0
        self.top = 0
        self.dim: Callable[[Any], bool] = lambda _item: False
        self.sorted_by: tuple[str, bool] | None = None  # a title, and whether descending
        self._head = 1 if has_titles else 0
        self._widest: dict[Column, int] = {}
        self._layout: Layout | None = None  # kept while nothing changes
        self._rows: dict[int, tuple[object, Strip]] = {}  # by line: everything it was drawn from, and the result

    # Content

    def put(self, items: Iterable[Any]) -> None:
        """Takes other rows. The cursor stays on its row, which keeps its line on the screen."""
        current = self.current_key
        line = self.cursor - self.top
        self.items = list(items)
        if current is not None:
            places = [place for place, item in enumerate(self.items) if self.key(item) == current]
            if places:
                self.cursor = places[0]
                self.top = self.cursor - line
        self._settle()

    def stay_on_top(self, items: Iterable[Any]) -> None:
        """Takes other rows. The cursor stays on the first line, whatever row that is."""
        self.items = list(items)
        self.cursor = self.top = 0
        self._settle()

    @property
    def current(self) -> Any | None:
        return self.items[self.cursor] if self.cursor < len(self.items) else None

    @property
    def current_key(self) -> Hashable | None:
        return None if self.current is None else self.key(self.current)

    @property
    def in_sight(self) -> list[Any]:
        return self.items[self.top : self.top + self.lines_in_sight]

    @property
    def lines_in_sight(self) -> int:
        return max(1, self.size.height - self._head)

    def go_to(self, key: Hashable) -> None:
        for place, item in enumerate(self.items):
            if self.key(item) == key:
                self.cursor = place
                self._settle()
                return

    # Moving

    def action_move(self, step: int) -> None:
        self.cursor += step
        self._settle(moved=True)

    def action_page(self, pages: float) -> None:
        step = int(pages * self.lines_in_sight)
        self.cursor += step
        self.top += step
        self._settle(moved=True)

    def action_top(self) -> None:
        self.cursor = self.top = 0
        self._settle(moved=True)
        self.post_message(self.Topped(self))

    def action_bottom(self) -> None:
        self.cursor = len(self.items) - 1
        self._settle(moved=True)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-3)

    def on_click(self, event: events.Click) -> None:
        place = self.top + event.y - self._head
        if event.y < self._head or place >= len(self.items):
            return
        self.cursor = place
        self._settle(moved=True)
        if event.chain == 2:
            self.action_open()

    def on_resize(self) -> None:
        self._settle()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _scroll(self, lines: int) -> None:
        self.top += lines
        self.cursor = min(max(self.cursor, self.top), self.top + self.lines_in_sight - 1)
        self._settle(moved=True)

    def _settle(self, *, moved: bool = False) -> None:
        """Moves the cursor to a row, and scrolls to it."""
        last, lines = max(0, len(self.items) - 1), self.lines_in_sight
        self.cursor = min(max(0, self.cursor), last)
        self.top = min(max(0, self.top), max(0, len(self.items) - lines))
        self.top = min(max(self.top, self.cursor - lines + 1), self.cursor)
        self._layout = None
        if moved:
            self.post_message(self.Moved(self))
        self.repaint()

    # Drawing

    def draw_line(self, y: int) -> Strip:
        if self._layout is None:
            self._layout = self._laid_out()
        layout = self._layout
        if y < self._head:
            return self._titles(layout)
        place = self.top + y - self._head
        if place < len(self.items):
            return self._row(place, layout)
        text = f"   {self.empty}" if not self.items and y == self._head else ""
        return self._strip([Segment(fit(text, layout.width), theme.style(theme.DIM))], layout.width)

    def _laid_out(self) -> "Layout":
        width = self.size.width
        shown = [column for column in self.columns if width >= column.least]
        return Layout(tuple(shown), tuple(self._widths(shown, width)), width, self._thumb())

    def _titles(self, layout: "Layout") -> Strip:
        parts = [" " * LEAD]
        glyphs = self.glyphs
        for column, cells in zip(layout.columns, layout.widths, strict=True):
            title = column.title
            if self.sorted_by is not None and self.sorted_by[0] == title:
                title = f"{title} {glyphs.down if self.sorted_by[1] else glyphs.up}"
            parts.append(fit(title, cells, right=column.right, more=glyphs.more) + " " * GAP)
        return self._strip([Segment("".join(parts), theme.style(theme.DIM))], layout.width)

    def _row(self, place: int, layout: "Layout") -> Strip:
        """A row that looks the same reuses its strip."""
        item, line, glyphs = self.items[place], place - self.top, self.glyphs
        is_current, is_marked = place == self.cursor, self.key(item) in self.marks
        ground = (theme.CURSOR if self.has_focus else theme.CURSOR_AWAY) if is_current else None
        base = look(theme.DIM if self.dim(item) else theme.TEXT, ground)
        lead = [
            Segment(glyphs.cursor if is_current else " ", look(theme.KEY if self.has_focus else theme.FAINT)),
            Segment(f"{glyphs.mark if is_marked else ' '} ", look(theme.KEY, ground)),
        ]
        contents = [
            column.fill(item, cells) if column.fill is not None else column.cell(item)
            for column, cells in zip(layout.columns, layout.widths, strict=True)
        ]
        drawn_from = ([*map(compared, contents)], layout, line, lead, base, self.ground)
        before = self._rows.get(line)
        if before is not None and before[0] == drawn_from:
            return before[1]
        strip = self._drawn_row(lead, contents, layout, base, self._edge(line, layout))
        self._rows[line] = (drawn_from, strip)
        return strip

    def _drawn_row(
        self, lead: list[Segment], contents: list[str | Text], layout: "Layout", base: Style, edge: Segment | None
    ) -> Strip:
        segments = [*lead]
        for column, content, cells in zip(layout.columns, contents, layout.widths, strict=True):
            segments += self._cell(column, content, cells, base)
            segments.append(Segment(" " * GAP, base))
        return self._strip(segments, layout.width, base, edge)

    def _cell(self, column: Column, content: str | Text, cells: int, base: Style) -> list[Segment]:
        more = self.glyphs.more
        if isinstance(content, str):
            return [Segment(fit(content, cells, right=column.right, more=more), base)]
        content = cut(content, cells, more)
        parts = [(content.plain[span.start : span.end], span.style) for span in spans_of(content)]
        room = cells - sum(cell_len(text) for text, _ in parts)
        segments = [Segment(" " * room, base)] if column.right and room > 0 else []
        for text, style in parts:
            segments.append(Segment(text, base + (Style.parse(style) if isinstance(style, str) else style)))
        if not column.right and room > 0:
            segments.append(Segment(" " * room, base))
        return segments

    def _strip(
        self, segments: list[Segment], width: int, base: Style | None = None, edge: Segment | None = None
    ) -> Strip:
        # Every segment gets a style: Textual's filter for NO_COLOR fails on segments without one.
        strip = Strip(segments).adjust_cell_length(width - 1 if edge else width, base or self.ground)
        if edge is not None:
            strip = Strip([*strip, edge])
        return strip.apply_style(self.ground)

    def _thumb(self) -> range | None:
        """The lines of the scroll thumb. None if all rows are visible."""
        count, lines = len(self.items), self.lines_in_sight
        if count <= lines:
            return None
        size = max(1, lines * lines // count)
        start = round(self.top / max(1, count - lines) * (lines - size))
        return range(start, start + size)

    def _edge(self, line: int, layout: "Layout") -> Segment | None:
        if layout.thumb is None:
            return None
        is_thumb = line in layout.thumb
        glyph = self.glyphs.thumb if is_thumb else self.glyphs.bar
        return Segment(glyph, theme.style(theme.DIM if is_thumb else theme.CURSOR_AWAY))

    def _widths(self, shown: Sequence[Column], width: int) -> list[int]:
        """Columns as wide as their content, never narrower than before, within the available room."""
        room = width - LEAD - GAP * len(shown) - 1
        in_sight = self.in_sight
        for column in shown:
            widest = max((self._length(column.cell(item)) for item in in_sight), default=0)
            title = len(column.title) + (2 if self.sorted_by and self.sorted_by[0] == column.title else 0)
            self._widest[column] = max(self._widest.get(column, 0), min(widest, column.most), title)
        widths = [self._widest[column] for column in shown]
        rest = next((place for place, column in enumerate(shown) if column.is_rest), None)
        if rest is not None:
            taken = sum(cells for place, cells in enumerate(widths) if place != rest)
            widths[rest] = max(NARROWEST, room - taken)
        while sum(widths) > room and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
        return widths

    @staticmethod
    def _length(content: str | Text) -> int:
        return cell_len(content) if isinstance(content, str) else content.cell_len

    @property
    def glyphs(self) -> theme.Glyphs:
        return self.app.glyphs  # type: ignore[attr-defined, no-any-return]  # the console has them


@cache
def look(colour: str, ground: str | None = None) -> Style:
    return Style(color=colour, bgcolor=ground)


def compared(content: str | Text) -> object:
    """The look of a cell, for comparison: Rich ignores a text's own style there."""
    return content if isinstance(content, str) else (content.plain, content.spans, content.style)


def held(items: Iterable[Any], key: Callable[[Any], Hashable], order: Sequence[Hashable]) -> list[Any]:
    """The items in their former order, new ones last."""
    places = {known: place for place, known in enumerate(order)}
    return sorted(items, key=lambda item: places.get(key(item), len(places)))


@dataclass(frozen=True, slots=True)
class Piece:
    start: int
    end: int
    style: str | Style


def spans_of(text: Text) -> list[Piece]:
    """A styled text as consecutive pieces, as `Text.assemble` makes them."""
    pieces: list[Piece] = []
    place = 0
    for span in sorted(text.spans):
        if span.start > place:
            pieces.append(Piece(place, span.start, text.style))
        if span.end > place:
            pieces.append(Piece(max(place, span.start), span.end, span.style))
            place = span.end
    if place < len(text.plain):
        pieces.append(Piece(place, len(text.plain), text.style))
    return pieces
