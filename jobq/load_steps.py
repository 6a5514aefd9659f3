"""What the loading of an application is doing at this moment, for those who wait for it and for what it may die of.

An import may hang, or end its process: then nothing of it can be asked any more. So each step is told as it begins.
"""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MAX_IMPORTERS = 6
"""Of the modules that import each other, so many are named."""

_follower: "Follower | None" = None


class Follower:
    """What one thread is doing; `tell` gets it in words each time that it changes, and nothing at its end."""

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
    """What happens within it is this step."""
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
    """Within it, `tell` gets each step and each import of this thread as it begins, and what goes on when it ends."""
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

    # Python leaves the frames of its import system out of tracebacks by the name of their file.
    code = _find_and_load.__code__.replace(co_filename=find_and_load.__code__.co_filename)
    _find_and_load.__code__ = code
    return _find_and_load
