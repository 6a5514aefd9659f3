"""Numbers, times and texts as the screen shows them: pure functions."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from jobq.clean import line
from jobq.observe import spoken


def count(number: float) -> str:
    return f"{number:,.0f}"


def at_least(number: int, limit: int, write: Callable[[float], str] = count) -> str:
    """A number that was counted up to a limit, with a mark where there may be more."""
    return f"{write(number)}+" if number >= limit else write(number)


def short(number: float) -> str:
    """At most five characters: 999, 4.1k, 38k, 1.2M."""
    if number < 1000:
        return f"{number:.0f}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            scaled = number / size
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    raise AssertionError(number)


def rate(per_minute: float | None, none: str = "—") -> str:
    if per_minute is None:
        return none
    return f"{per_minute:.1f}" if 0 < per_minute < 9.95 else short(per_minute)


def duration(seconds: float | None, none: str = "—") -> str:
    """Two units at the most: 40ms, 0.4s, 12s, 5m 3s, 2h 10m, 3d 4h."""
    if seconds is None:
        return none
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s" if seconds >= 0.1 or seconds == 0 else f"{seconds * 1000:.0f}ms"
    whole = int(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size}{unit} {rest}{smaller}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def age(seconds: float | None, none: str = "—") -> str:
    """One unit, for columns: 12s, 5m, 3h, 4d."""
    if seconds is None:
        return none
    whole = int(max(0.0, seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def since(moment: datetime | None, now: datetime, none: str = "—") -> str:
    return none if moment is None else age((now - moment).total_seconds(), none)


def between(start: datetime | None, end: datetime | None, none: str = "—") -> str:
    return none if start is None or end is None else duration((end - start).total_seconds())


def due(moment: datetime, now: datetime) -> str:
    """`in 5m`, or the time since then."""
    seconds = (moment - now).total_seconds()
    return f"in {age(seconds)}" if seconds > 0 else age(-seconds)


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def span(seconds: float) -> str:
    """A length of time in words: a minute, 10 minutes."""
    return "a minute" if seconds == 60 else spoken(seconds)


def minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M}"


def stamp(moment: datetime, now: datetime, *, is_short: bool = False) -> str:
    """The time of day, with the date if it is another day. The short form omits the year and the seconds."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%b %d %H:%M}" if is_short else f"{moment:%Y-%m-%d %H:%M:%S}"


def compact(value: Any, limit: int = 400) -> str:
    """JSON on one line, cleaned."""
    return line(json.dumps(value, ensure_ascii=False), limit)


def arguments(value: dict[str, Any], limit: int = 400) -> str:
    """Arguments as in a call: order_id=7, copy_to=null."""
    return line(", ".join(f"{name}={json.dumps(item, ensure_ascii=False)}" for name, item in value.items()), limit)


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


NO_OPTION = "none"


def option(value: Any) -> str:
    """An option of a job in words."""
    return NO_OPTION if value is None else line(f"{value:g}" if isinstance(value, float) else str(value), 100)


def plural(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{count(number)} {nouns(noun)}"


def nouns(noun: str) -> str:
    return f"{noun}es" if noun.endswith(("s", "sh", "x")) else f"{noun}s"


def fit(text: str, width: int, *, right: bool = False, more: str = "…") -> str:
    """A text that fills exactly this number of cells: padded, or cut with a mark."""
    length = cell_len(text)
    if length > width:
        cut = set_cell_size(text, max(0, width - cell_len(more))) + more
        return set_cell_size(cut, width)
    return " " * (width - length) + text if right else text + " " * (width - length)


def cut(text: Text, width: int, more: str = "…") -> Text:
    """A styled text of at most this many cells. Where it was cut, a mark has the style of the text before it."""
    if text.cell_len <= width:
        return text
    shown = text.copy()
    shown.truncate(max(0, width - cell_len(more)))
    shown.append(more, shown.spans[-1].style if shown.spans else None)
    return shown


def tail(path: str, width: int, more: str = "…") -> str:
    """The end of a path, which says more than its beginning: as many whole folder names as fit."""
    if cell_len(path) <= width:
        return path
    places = [place for place, character in enumerate(path) if character == "/"]
    fitting = (f"{more}{path[place:]}" for place in places if cell_len(path) - place + cell_len(more) <= width)
    return next(fitting, more + path.rpartition("/")[2])


def spark(values: Sequence[float], width: int, blocks: str) -> str:
    """The last values as a row of small columns, the latest on the right. Zero is a dot."""
    shown = list(values)[-width:]
    top = max(shown, default=0) or 1
    drawn = "".join(blocks[max(1, round(value / top * 8))] if value > 0 else "·" for value in shown)
    return drawn.rjust(width, "·")


def class_name(job_class: str, *, is_wide: bool = False) -> str:
    """A class without its module, for narrow places."""
    return job_class if is_wide else job_class.rpartition(".")[2] or job_class


def class_in(job_class: str, width: int) -> str:
    """A class within this number of cells: without its module if the full name does not fit."""
    return job_class if cell_len(job_class) <= width else class_name(job_class)


def size(number: float) -> str:
    """A number of bytes, in the unit that makes it short."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def listed(names: Iterable[str], most: int = 3) -> str:
    """Some names, and the number of the others."""
    known = list(names)
    shown = ", ".join(known[:most])
    return f"{shown} and {len(known) - most} more" if len(known) > most else shown
