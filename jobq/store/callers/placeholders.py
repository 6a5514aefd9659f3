"""The placeholders of jobq's statements, `%(name)s`, in the forms of other drivers."""

import re
from collections.abc import Iterator
from functools import lru_cache

PLACEHOLDER = re.compile(r"%%|%\((\w+)\)s")


@lru_cache(maxsize=256)
def numbered(statement: bytes) -> tuple[str, tuple[str, ...]]:
    """A statement with `$1` and so on, and the names of these parameters, in order."""
    names: list[str] = []
    text = []
    for literal, name in pieces(statement):
        text.append(literal)
        if name and name not in names:
            names.append(name)
        if name:
            text.append(f"${names.index(name) + 1}")
    return "".join(text), tuple(names)


def pieces(statement: bytes) -> Iterator[tuple[str, str]]:
    """The text of a statement up to each placeholder, with the placeholder's name; `%%` and the rest with none."""
    text, done = statement.decode(), 0
    for found in PLACEHOLDER.finditer(text):
        literal, done = text[done : found.start()], found.end()
        yield (literal, found[1]) if found[1] else (f"{literal}%", "")
    yield text[done:], ""
