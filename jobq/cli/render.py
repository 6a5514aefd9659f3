"""How the command line shows things: JSON documents, tables, times. All that is shown has passed `jobq.clean`."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from jobq.clean import line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 200
"""Columns where the output is no terminal: a pipe has no width, and nothing should be cut for it."""

STYLES = {
    "successful": ("✓", "green"),
    "errored": ("✗", "red"),
    "lost": ("☠", "red"),
    "cancelled": ("⊘", "yellow"),
    "deferred": ("↺", "cyan"),
    "running": ("▶", "cyan"),
    "pending": ("…", ""),
    "scheduled": ("◷", "blue"),
}


def show_json(value: Any) -> None:
    """One document on stdout; times are ISO 8601 with their offset."""
    click.echo(json.dumps(value, default=plain_json, ensure_ascii=False, indent=2))


def plain_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return asdict(value)


def say(message: str) -> None:
    """Talk goes to stderr: stdout is for data."""
    click.echo(message, err=True)


def console() -> "Console":
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(
        width=None if is_terminal or "COLUMNS" in os.environ else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        no_color="NO_COLOR" in os.environ,
        soft_wrap=False,
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """A table of one line a row; text that does not fit ends in an ellipsis, but never that of the `whole` columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    cells = [[cell if isinstance(cell, Text) else Text(line(str(cell))) for cell in row] for row in rows]
    for column in columns:
        # To rich, a column that may wrap is one that may be made narrower, the widest first; no cell does wrap.
        heading = Text(column, no_wrap=True, overflow="ellipsis")
        drawn.add_column(heading, justify="right" if column in right else "left", no_wrap=column in whole)
    for row in cells:
        for cell in row:
            cell.no_wrap, cell.overflow = True, "ellipsis"
        drawn.add_row(*row)
    console().print(drawn)


def state_text(state: str, outcome: str | None) -> "Text":
    """A state or outcome as glyph, word and colour: never colour alone."""
    from rich.text import Text

    word = outcome or state
    glyph, style = STYLES.get(word, ("?", ""))
    return Text(f"{glyph} {line(word)}", style=style)


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """`5m ago`, `in 3h`, or nothing."""
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"in {duration(-seconds)}" if seconds < -0.5 else f"{duration(max(0.0, seconds))} ago"


def duration(seconds: float | None) -> str:
    """Two units at the most: 0.4s, 12s, 5m 3s, 2h 10m, 3d 4h."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s" if seconds >= 0.1 else f"{seconds * 1000:.0f}ms"
    whole = int(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size}{unit} {rest}{smaller}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def sparkline(counts: Sequence[int | None]) -> str:
    """A small chart: a bar a number, the highest as high as can be; a dot for none, a space for what is not known."""
    most = max((count or 0 for count in counts), default=0)
    return "".join(
        " " if count is None else "·" if count == 0 else BARS[-(-count * len(BARS) // most) - 1] for count in counts
    )


BARS = "▁▂▃▄▅▆▇█"


def took(started: datetime | None, ended: datetime | None) -> str:
    return duration((ended - started).total_seconds()) if started and ended else ""


def compact(arguments: Any) -> str:
    return line(json.dumps(arguments, ensure_ascii=False))
