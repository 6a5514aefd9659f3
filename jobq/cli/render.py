"""Output of the command line: JSON documents, tables, times. Everything shown has passed `jobq.clean`."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from jobq.clean import json_text, line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 4000
"""Columns if the output is not a terminal: a pipe has no width, and nothing should be cut for it."""

GAP = 2
NARROWEST = 6
"""Minimum width of an elastic column, if need be at the cost of the others."""

STYLES = {
    "successful": ("✓", "green"),
    "errored": ("✗", "red"),
    "lost": ("☠", "red"),
    "cancelled": ("⊘", "yellow"),
    "deferred": ("↺", "cyan"),
    "running": ("▶", "cyan"),
    "pending": ("…", ""),
    "scheduled": ("◷", "blue"),
    "gated": ("⊓", "blue"),
    "overlapped": ("⊘", "yellow"),
    "held": ("⊘", "yellow"),
    "missed": ("⊘", "yellow"),
}


def show_json(value: Any) -> None:
    """One document on stdout; times are ISO 8601 with their offset."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    click.echo(json_text(json.dumps(value, default=plain_json, ensure_ascii=not is_unicode, indent=2)))


def show_value(value: Any) -> None:
    """The return value of a run: as JSON on one line, else in Python's notation."""
    if value is None:
        return
    try:
        click.echo(json_text(json.dumps(value, default=repr, ensure_ascii=False, allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        click.echo(line(repr(value), 4000))


def plain_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return asdict(value)


def say(message: str) -> None:
    """Messages go to stderr: stdout is for data."""
    click.echo(message, err=True)


def told(words: str, names: Sequence[str], done: Sequence[str], why_not: str, *, as_json: bool) -> None:
    """Prints what was done to which names, and why the others were left alone."""
    left = [name for name in dict.fromkeys(names) if name not in done]
    if as_json:
        show_json({"done": done, "unchanged": left})
    else:
        click.echo(f"{words} {', '.join(map(line, done)) or 'nothing'}")
    for name in left:
        say(f"{line(name)} {why_not}")


def console() -> "Console":
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`, as from any other output

    is_terminal = sys.stdout.isatty()
    return Output(
        width=None if is_terminal or "COLUMNS" in os.environ else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        no_color="NO_COLOR" in os.environ,
        soft_wrap=False,
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), elastic: Sequence[str] = ()
) -> None:
    """A table of one line per row. Text that does not fit ends in an ellipsis, first in the elastic columns."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    cells = [[cell if isinstance(cell, Text) else Text(line(str(cell))) for cell in row] for row in rows]
    widths = [max([len(column), *(row[place].cell_len for row in cells)]) for place, column in enumerate(columns)]
    drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, fitted(columns, widths, elastic, out.width), strict=True):
        drawn.add_column(
            Text(column),
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width,
        )
    for row in cells:
        drawn.add_row(*row)
    out.print(drawn)


def fitted(columns: Sequence[str], widths: Sequence[int], elastic: Sequence[str], most: int) -> list[int]:
    """The widths at which the columns fit side by side: elastic ones shrink first, then the widest."""
    fit = list(widths)
    excess = sum(fit) + GAP * (len(fit) - 1) - most
    bounds = [
        min(width, NARROWEST) if column in elastic else width for column, width in zip(columns, widths, strict=True)
    ]
    for least in (bounds, [1] * len(fit)):
        while excess > 0:
            able = [place for place in range(len(fit)) if fit[place] > least[place]]
            if not able:
                break
            fit[max(able, key=fit.__getitem__)] -= 1
            excess -= 1
    return fit


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
    """At most two units: 0.4s, 12s, 5m 3s, 2h 10m, 3d 4h."""
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
    """A small chart: a bar per number, scaled to the highest; a dot for zero, a space for unknown."""
    most = max((count or 0 for count in counts), default=0)
    return "".join(
        " " if count is None else "·" if count == 0 else BARS[-(-count * len(BARS) // most) - 1] for count in counts
    )


BARS = "▁▂▃▄▅▆▇█"


def took(started: datetime | None, ended: datetime | None) -> str:
    return duration((ended - started).total_seconds()) if started and ended else ""


def compact(arguments: Any) -> str:
    return line(json.dumps(arguments, ensure_ascii=False))
