"""The words of the filter bar, as the read model of this release understands them."""

import re
import shlex
from datetime import UTC, datetime, timedelta

from jobq.errors import UsageError
from jobq.observe import Selection

from .source import View

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

FIELDS = {"queue": "queue", "class": "job_class", "key": "unique_key", "error": "error"}
"""The words with a text, and the fields of the selection that they set."""

TIMES = ("since", "until")

WORDS = (*FIELDS, *TIMES)

HELP = (
    ("queue:mail", "of this queue"),
    ("class:shop.jobs.Send", "of this class"),
    ("key:receipt-7", "with this unique key"),
    ("error:Timeout", "with this in the type or message of its error; so does a word alone"),
    ("since:1h  until:30m", "enqueued, or ended, in this time: 90s, 5m, 2h, 3d, or 2026-12-01T09:00Z"),
)


def selection(view: View, text: str) -> Selection:
    """What a filter means. Raises UsageError, which names the word that is wrong and what could stand there."""
    chosen: dict[str, str | datetime] = {}
    loose: list[str] = []
    for word in words(text):
        name, colon, value = word.partition(":")
        if not colon:
            loose.append(word)
        elif not value:
            raise UsageError(f"{name}: needs a value after the colon.")
        elif name in FIELDS:
            chosen[FIELDS[name]] = value
        elif name in TIMES:
            chosen[name] = moment(name, value)
        else:
            raise UsageError(f"There is no word {name}: — there are {', '.join(f'{known}:' for known in WORDS)}.")
    if loose:
        chosen.setdefault("error", " ".join(loose))
    return Selection(which=view.which, outcome=view.outcome, **chosen)  # type: ignore[arg-type]  # by its own name


OPTIONS = {"queue": "--queue", "class": "--class", "key": "--unique-key", "error": "--error"}


def command(view: View, text: str) -> str:
    """The command line that shows the same list."""
    found = ["jobq", "list", view.which, *(["--outcome", view.outcome] if view.outcome else [])]
    for word in words(text):
        name, colon, value = word.partition(":")
        found += [OPTIONS.get(name, f"--{name}"), value] if colon else ["--error", word]
    return shlex.join(found)


def words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise UsageError("A quote is not closed.") from None


def moment(name: str, text: str) -> datetime:
    if (ago := duration(text)) is not None:
        return datetime.now(UTC) - timedelta(seconds=ago)
    if (value := time_of(text)) is None:
        raise UsageError(f"{name}:{text} is no time: write 90s, 5m, 2h, 3d, or 2026-12-01T09:00Z.")
    return value


def seconds(text: str) -> float:
    """From now: 60, 5m, 1h30m, or a time with its zone. Raises UsageError."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if (found := duration(text)) is not None:
        return found
    if (value := time_of(text)) is None:
        raise UsageError("write 60, 5m, 1h30m, or 2026-12-01T09:00Z")
    return max(0.0, (value - datetime.now(UTC)).total_seconds())


def duration(text: str) -> float | None:
    if not re.fullmatch(r"(\d+(\.\d+)?[smhdw])+", text):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text))


def time_of(text: str) -> datetime | None:
    """A time with its zone."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if value.tzinfo is not None else None
