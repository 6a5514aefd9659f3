"""The queues of a worker: names and patterns, as `jobq run -q` takes them and as the worker's row keeps them.

`mail` is one queue. `*` stands for any text and `?` for one character: also for queues that come into being later. A
minus in front excludes a name or a pattern, whatever else matches it. If there are only exclusions, the worker works
all other queues. The SQL function `works()` has the same rules.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from jobq.errors import UsageError
from jobq.options import checked_queue

OUT = "-"
"""The mark of an exclusion."""


def parsed(texts: Iterable[str]) -> tuple[str, ...]:
    """The names and patterns of all options, each once. One option may hold several, separated by commas."""
    found: dict[str, None] = {}
    for text in texts:
        for term in text.split(","):
            term = term.strip()
            if not term.removeprefix(OUT):
                raise UsageError(f"--queue {text!r} holds an empty name. An empty one is probably an unset variable.")
            checked_queue(term.removeprefix(OUT))
            found[term] = None
    return tuple(found)


class QueueChoice:
    """A worker's choice, applied to each new queue."""

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self.terms = tuple(terms)
        self._of = lru_cache(maxsize=10_000)(lambda queue: works(self.terms, queue))

    def __contains__(self, queue: str) -> bool:
        return not self.terms or self._of(queue)

    def __str__(self) -> str:
        return ",".join(self.terms) or "all"

    @property
    def names(self) -> tuple[str, ...]:
        """The queues that are named in full, including excluded ones: each of them should exist."""
        return tuple(name for term in self.terms if not is_pattern(name := term.removeprefix(OUT)))


def works(terms: Sequence[str], queue: str) -> bool:
    """Whether a worker with this choice works the queue."""
    included = [term for term in terms if not term.startswith(OUT)]
    excluded = [term.removeprefix(OUT) for term in terms if term.startswith(OUT)]
    is_chosen = not included or any(matches(term, queue) for term in included)
    return is_chosen and not any(matches(term, queue) for term in excluded)


def is_pattern(term: str) -> bool:
    return "*" in term or "?" in term


@lru_cache(maxsize=1000)
def expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts), re.DOTALL)


def matches(pattern: str, queue: str) -> bool:
    return expression(pattern).fullmatch(queue) is not None
