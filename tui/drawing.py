"""Sends to the terminal only the cells that changed when a part of the screen has changed.

Textual draws a changed part from the left edge of its widget on, and draws a screen anew whenever one that it covers
has changed. Both are private to Textual; the tests of this module check that they still work so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.screen import Screen
from textual.strip import Strip


def cells_only(update: Any) -> Any:
    """Turns the update of a part of the screen into one of cells. Any other update stays as it is."""
    return CellsUpdate(update.chops, update.spans, update.chop_ends) if isinstance(update, ChopsUpdate) else update


class CellsUpdate(ChopsUpdate):
    """An update that starts at the first cell of each changed part."""

    def render_segments(self, console: Console) -> str:
        return "".join(
            f"{Control.move_to(x, y).segment.text}{strip.render(console)}"
            for y, start, end in self.spans
            for x, strip in parts_of(self.chops[y], self.chop_ends[y], start, end)
        )


def parts_of(line: Mapping[int, Strip | None], ends: Sequence[int], start: int, end: int) -> list[tuple[int, Strip]]:
    """The parts of a line that lie between two columns, each with its first column."""
    return [
        (max(x, start), strip.crop(max(x, start) - x, min(until, end) - x))
        for until, (x, strip) in zip(ends, line.items(), strict=True)
        if strip is not None and x < end and until > start
    ]


def seen_behind(screens: Sequence[Screen[Any]]) -> list[Screen[Any]]:
    """The screens of a stack that are visible behind the top one. Empty if the top one is opaque."""
    seen: list[Screen[Any]] = []
    for above, screen in zip(reversed(screens), reversed(screens[:-1]), strict=False):
        if above.styles.background.a == 1:
            break
        seen.insert(0, screen)
    return seen
