"""The text in the filter bar: the filter language of the command line, applied to the shown list."""

import re
from datetime import UTC, datetime

from jobq import commands, filters
from jobq.errors import FilterError, UsageError
from jobq.filters import Filter, Pattern, Term
from jobq.observe import FailureGroup, slow_parts
from jobq.states import FINISHED, State

from .known_values import KnownValues
from .source import Query, View

WORDS = filters.KEYS

HELP = (
    ("queue:mail,slow", "of one of these queues; class: error: worker: build: key: id: likewise"),
    ("-error:Deadlock", "not with this; text of an error, anywhere in it"),
    ("class:shop.jobs.*", "* stands for anything; quotes take text as it is"),
    ("gate:crm lane:acme", "through this gate, in this lane of it"),
    ("args.order_id:7", "with this argument"),
    ("=42", "with this value of any argument"),
    ("outcome:errored", "ended so; state: likewise. Lists in which no job can fit are left"),
    ("since:1h until:30m", "enqueued, or ended, in this time: also 2026-12-01T09:00Z, deploy"),
    ("tries:>3 ran:>5s", "how often it was tried, how long it ran; wait: likewise"),
    ('"free text"', "somewhere in its class, queue, key, error or arguments"),
)

GROUP_HELP = (
    ("class:shop.jobs.*", "of this class, or queue:; * stands for anything"),
    ("-error:Deadlock", "not with this; text of an error, anywhere in it"),
    ("vat.py", "somewhere in its class, queue, error or place"),
)


def query(view: View, text: str) -> Query:
    """The meaning of a filter on a list. Raises FilterError, which says what is wrong and where."""
    typed = filters.parse(text)
    barred = tuple(str(term) for term in typed.terms if not applies(view, term))
    return Query(view, text, None if barred else (chosen(view) + typed).checked(), barred)


def applies(view: View, term: Term) -> bool:
    """Whether a job of this list can match a term: a waiting job has no outcome and no worker."""
    named = {value.text for value in term.values if isinstance(value, Pattern)}
    if term.key == "state":
        return (view.which in named) != term.is_negated
    if term.key == "outcome" and view.outcome is not None:
        return (view.outcome in named) != term.is_negated
    if term.key in ("outcome", "group"):
        return view.which == FINISHED
    return term.is_negated or term.key not in ("worker", "build", "ran") or view.which in (FINISHED, State.RUNNING)


GROUP_KEYS = ("", "class", "error", "queue")
"""The keys that find groups of failures."""


def group_filter(text: str) -> Filter:
    """A filter on groups of failures. Raises FilterError, which says what is wrong and where."""
    typed = filters.parse(text)
    for term in typed.terms:
        if term.key not in GROUP_KEYS:
            problem = "Groups are found by class: error: queue: and words; what jobs are is asked in their list."
            raise FilterError(problem, problem=problem, start=term.start, end=term.end)
    return typed


def fits(group: FailureGroup, chosen: Filter, stored_name: str | None = None) -> bool:
    """Whether a group matches: class and queue as a whole, other words anywhere in it.

    Its class is also found by the name that its jobs have in the database.
    """
    error, names = f"{group.error_type or ''}: {group.error_message or ''}", [group.job_class, stored_name or ""]
    texts = {"class": names, "queue": [group.queue], "error": [error]}
    anywhere = [" ".join((*names, group.queue, error, group.frame or ""))]

    def has(term: Term) -> bool:
        around = "" if term.key in ("class", "queue") else ".*"
        patterns = [value.parts for value in term.values if isinstance(value, Pattern)]
        return any(
            re.fullmatch(around + ".*".join(map(re.escape, parts)) + around, text, re.DOTALL | re.IGNORECASE)
            for parts in patterns
            for text in texts.get(term.key, anywhere)
        )

    return all(has(term) != term.is_negated for term in chosen.terms)


def slow(view: View, text: str) -> list[Term]:
    """The typed terms that no index serves, in a list that is too long to read. Raises FilterError."""
    typed = set(filters.parse(text).terms)
    meaning = query(view, text).meaning
    return [] if meaning is None else [term for term in slow_parts(meaning) if term in typed]


def chosen(view: View) -> Filter:
    return filters.of("outcome", view.outcome) if view.outcome else filters.of("state", view.which)


def suggestions(text: str, known: KnownValues) -> list[str]:
    """Completions of the last word of a filter, from values that were seen."""
    if text.count('"') % 2:
        return []
    before, space, word = text.rpartition(" ")
    before, word = f"{before}{space}{'-' if word.startswith('-') else ''}", word.removeprefix("-")
    name, colon, begun = word.partition(":")
    if word.startswith("="):
        name, colon, begun = "=", "", word[1:]
    elif not colon:
        keys = [f"{key}:" for key in WORDS if key.startswith(name) and key != "args"]
        paths = [path for path in known.arguments if path.startswith(name) or f"args.{path}".startswith(name)]
        return [f"{before}{key}" for key in (*keys, *(f"args.{path}:" for path in paths))]
    first, comma, last = begun.rpartition(",")
    start, there = f"{before}{name}{colon}{first}{comma}", {last, *first.split(",")}
    values = CHOICES.get(name) or known.of(name)
    return [f"{start}{value}" for value in values if value.startswith(last) and value not in there]


CHOICES = {"state": filters.STATES, "outcome": filters.OUTCOMES}
"""The values of some keys, which are known in advance."""


def command(view: View, text: str) -> str:
    """The command line that shows the same list."""
    return commands.command("list", f"{chosen(view)} {text}".strip())


def seconds(text: str) -> float:
    """Relative to now: 60, 5m, 1h30m, or a time with its zone. Raises UsageError."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if (found := filters.seconds_of(text)) is not None:
        return found
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise UsageError("write 60, 5m, 1h30m, or 2026-12-01T09:00Z")
    return max(0.0, (value - datetime.now(UTC)).total_seconds())
