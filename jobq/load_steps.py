"""Reports each step of loading an application as it begins.

An import may hang, or end its process, and then cannot be asked what it was doing.
"""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MAX_IMPORTERS = 6
"""Maximum number of modules named in a chain of imports."""

_follower: "Follower | None" = None


class Follower:
    """The current step of one thread. `tell` gets each change in words, and nothing at the end."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.thread = threading.get_ident()
        self.steps: list[str] = []
        self.imports: list[str] = []

    def tell(self) -> None:
        self._tell(": ".join([*self.steps, *imports_in_words(self.imports)]))


def imports_in_words(names: list[str]) -> list[str]:
    """The innermost first: it is the one that hangs or dies."""
    if not names:
        return []
    *importers, innermost = names
    if len(importers) > MAX_IMPORTERS:
        importers = [*importers[:2], "…", *importers[3 - MAX_IMPORTERS :]]
    return [f"importing {innermost}" + (f" (imported by {', '.join(importers)})" if importers else "")]


@contextmanager
def step(words: str) -> Iterator[None]:
    """Code inside is this step."""
    follower = _follower
    if follower is None:
        yield
        return
    follower.steps.append(words)
    follower.tell()
    try:
        yield
    finally:
        follower.steps.pop()
        follower.tell()


@contextmanager
def followed(tell: Callable[[str], None]) -> Iterator[None]:
    """Inside, `tell` gets each step and each import of this thread as it begins, and the outer one when it ends."""
    global _follower
    _follower = follower = Follower(tell)
    bootstrap: Any = importlib._bootstrap  # the only place that every import passes
    original = bootstrap._find_and_load
    bootstrap._find_and_load = following(follower, original)
    try:
        yield
    finally:
        bootstrap._find_and_load = original
        _follower = None
        tell("")


def following(follower: Follower, find_and_load: Any) -> Any:
    def _find_and_load(name: str, *others: Any) -> Any:
        if threading.get_ident() != follower.thread:
            return find_and_load(name, *others)
        follower.imports.append(name)
        follower.tell()
        try:
            return find_and_load(name, *others)
        finally:
            follower.imports.pop()
            follower.tell()

    # Python removes frames of its import system from tracebacks by the name of their file.
    code = _find_and_load.__code__.replace(co_filename=find_and_load.__code__.co_filename)
    _find_and_load.__code__ = code
    return _find_and_load
