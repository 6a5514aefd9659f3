"""What goes to the terminal when a part of the screen has changed: the cells that changed, and no others.

Textual draws a changed part from the left edge of its widget on, and draws a screen anew whenever one that it covers
has changed. Both are its own private ways, which the tests of this module hold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.screen import Screen
from textual.strip import Strip


def cells_only(update: Any) -> Any:
    """The update of a part of the screen as one of cells; any other as it is."""
    return CellsUpdate(update.chops, update.spans, update.chop_ends) if isinstance(update, ChopsUpdate) else update


class CellsUpdate(ChopsUpdate):
    """An update that begins at the first cell of each changed part."""

    def render_segments(self, console: Console) -> str:
        return "".join(
            f"{Control.move_to(x, y).segment.text}{strip.render(console)}"
            for y, start, end in self.spans
            for x, strip in parts_of(self.chops[y], self.chop_ends[y], start, end)
        )


def parts_of(line: Mapping[int, Strip | None], ends: Sequence[int], start: int, end: int) -> list[tuple[int, Strip]]:
    """The parts of a line that lie between two columns, each with the column where it begins."""
    return [
        (max(x, start), strip.crop(max(x, start) - x, min(until, end) - x))
        for until, (x, strip) in zip(ends, line.items(), strict=True)
        if strip is not None and x < end and until > start
    ]


def seen_behind(screens: Sequence[Screen[Any]]) -> list[Screen[Any]]:
    """The screens of a stack that are seen behind the top one: none where that lets nothing through."""
    seen: list[Screen[Any]] = []
    for above, screen in zip(reversed(screens), reversed(screens[:-1]), strict=False):
        if above.styles.background.a == 1:
            break
        seen.insert(0, screen)
    return seen
