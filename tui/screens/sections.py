"""Moves from one list of a screen to the next, if it has several."""

from textual.screen import Screen

from ..widgets.rows import Rows


def next_list(screen: Screen[None], step: int = 1) -> None:
    """Moves the focus to the next visible list; from the last one to the first."""
    lists = [rows for rows in screen.query(Rows) if rows.display and rows.size.height]
    places = [place for place, rows in enumerate(lists) if rows.has_focus]
    lists[((places[0] if places else -1) + step) % len(lists)].focus()
