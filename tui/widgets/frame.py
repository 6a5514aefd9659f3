"""The three lines of every screen: place and age of the data; the screens; the keys that work now."""

from collections.abc import Iterable

from rich.text import Text
from textual.visual import VisualType
from textual.widgets import Static

from .. import theme
from ..formats import cut


class Line(Static):
    """One line of styled text, cut with a mark if it is too long. Never markup."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__("", id=id, classes=classes, markup=False)

    def put(self, left: Text, right: Text | None = None) -> None:
        width = self.size.width or self.app.size.width  # it has no size until it is shown
        more: str = self.app.glyphs.more  # type: ignore[attr-defined]  # the console has them
        self.update(spread(left, right, width, more))

    def update(self, content: VisualType = "", *, layout: bool = False) -> None:
        """Shows another text, and draws nothing if it is the same. The line keeps its height and width."""
        shown = self.content
        if not (isinstance(content, Text) and isinstance(shown, Text) and is_same(content, shown)):
            super().update(content, layout=layout)


def is_same(one: Text, other: Text) -> bool:
    """Whether two texts look the same: Rich compares neither their own styles nor how they are folded."""
    return one == other and (one.style, one.no_wrap, one.overflow) == (other.style, other.no_wrap, other.overflow)


def spread(left: Text, right: Text | None, width: int, more: str = "…") -> Text:
    """Two texts at the two ends of a line. The left one is cut if there is no room."""
    room = width - (right.cell_len if right is not None else 0)
    drawn = left.copy() if left.cell_len <= room else cut(left, room - 1, more)
    drawn.no_wrap = True
    if right is not None:
        drawn.append(" " * max(0, width - drawn.cell_len - right.cell_len))
        drawn.append_text(right)
    return drawn


OFF = "off: "

KEPT, MUCH_ROOM = 3, 100
"""Number of forbidden keys shown, by the number of columns."""


def keys_line(keys: Iterable[tuple[str, str]], width: int, barred: Iterable[tuple[str, str]] = ()) -> Text:
    """Keys and their words, as many as fit. The last three, which lead on, are always shown.

    Forbidden ones are grey: the first of them in a wide window, the others if there is room left.
    """
    pairs, greys = list(keys), [f"{key} {words}  " for key, words in barred]
    always, others = pairs[-3:], pairs[:-3]
    taken = sum(len(key) + len(words) + 3 for key, words in always) + 1
    kept = len(OFF) + sum(map(len, greys[:KEPT])) if greys and width >= MUCH_ROOM else 0
    shown = []
    for key, words in others:
        taken += len(key) + len(words) + 3
        if taken + kept > width:
            break
        shown.append((key, words))
    room = width - sum(len(key) + len(words) + 3 for key, words in [*shown, *always]) - 1 - len(OFF)
    greyed = [grey for place, grey in enumerate(greys) if sum(map(len, greys[: place + 1])) <= room]
    text = Text(" ", no_wrap=True)
    for place, (key, words) in enumerate([*shown, *always]):
        if place == len(shown) and greyed:
            text.append(f"{OFF}{''.join(greyed)}", theme.style(theme.FAINT))
        text.append(key, theme.style(theme.KEY, bold=True))
        text.append(f" {words}  ", theme.style(theme.DIM))
    return text


def tab_text(number: int, words: str, figure: str, *, is_here: bool, is_bad: bool) -> Text:
    look = theme.style(theme.KEY, bold=True) if is_here else theme.style(theme.TEXT)
    text = Text.assemble((f" {number} ", theme.style(theme.KEY if is_here else theme.DIM)), (words, look))
    if figure:
        colour = theme.BAD if is_bad else (theme.KEY if is_here else theme.DIM)
        text.append(f" {figure}", theme.style(colour))
    text.append(" ", look)
    if is_here:
        text.stylize(f"on {theme.PANEL}")
    return text
