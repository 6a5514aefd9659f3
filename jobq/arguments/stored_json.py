"""Stored JSON: the form of its tags, its maximum depth, and how code that only shows it reads it."""

import json
from typing import Any, Final, NoReturn

TAG: Final = "$"
MAX_DEPTH: Final = 100
MAX_JSON_DEPTH: Final = 3 * MAX_DEPTH
"""Maximum depth that `encode` writes: a tag and its content are two levels, and pairs one more."""

MAX_READ_DEPTH: Final = 400
"""Maximum depth of stored JSON that is read, for rows written by hand. Every supported Python can parse and decode that
far below its recursion limit, so that no Python refuses what another accepts."""
MAX_INTEGER_BITS: Final = 14_000
"""Integers of up to some 4,200 digits: Python reads at most 4,300 from a text."""
EXACT_INTEGRAL_FLOATS: Final = 1e16
"""jsonb turns larger floats without a fraction into integers."""


def legible(stored: str | bytes) -> Any:
    """Stored JSON for display, with tags. JSON that is too deep or too long for Python is returned as text, cut.

    `encode` never writes such JSON; but one such row, from somebody's own SQL, must not hide all the others.
    """
    try:
        loaded = json.loads(stored)
        if not is_deeper(loaded, MAX_JSON_DEPTH):
            return loaded
    except (ValueError, RecursionError):
        pass
    text = stored if isinstance(stored, str) else stored.decode(errors="replace")
    return {"unreadable": f"{text[:200]}… ({len(text):,} characters)"}


def is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def read_json(text: str) -> Any:
    """Typed JSON. Raises ValueError also for what is JSON only to Python, and for JSON that is too deep for it."""
    try:
        value = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if is_deeper(value, MAX_JSON_DEPTH):
        raise ValueError("it is nested too deep")
    return value


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"there is no {constant} in JSON")
