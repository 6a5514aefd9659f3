"""The user's values and annotations in messages, whatever their own `__repr__` does."""

import inspect
from collections.abc import Callable
from typing import Any

from jobq.clean import line


def annotation_text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return line(annotation)
    return safe_text(lambda: inspect.formatannotation(annotation), f"<{type(annotation).__name__}>", 100)


def safe_repr(value: Any) -> str:
    return safe_text(lambda: repr(value), f"<{type(value).__name__}>", 100)


def safe_text(show: Callable[[], str], otherwise: str, most: int) -> str:
    """The result of a user's `__repr__`, if it works: fit for a message, and for PostgreSQL."""
    try:
        text = show()
    except Exception:  # noqa: BLE001 - the user's __repr__ may raise anything
        text = otherwise
    return line(text if len(text) <= most else f"{text[: most - 3]}…")
