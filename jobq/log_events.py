"""jobq's own log messages as text and as fields: `log.info("signal received name=%s", name)` has the field `name`.

The template says which words are fields, so a value cannot forge one. In the text a value is quoted if it has blanks,
`=` or quotes.
"""

import json
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jobq.clean import line

MAX_CHARACTERS = 8000

FIELD = re.compile(r"(?<!\S)(\w+)=([^\s%]*%\S*?)(?=[:;,.]*(?:\s|$))")
"""A field in a template."""

CONVERSION = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?([a-zA-Z%])")

ONE_VALUE = re.compile(r"%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]s?")
"""A field with one value. An `s` after it is its unit, seconds."""

UNQUOTED = re.compile(r'[^\s"=\\]+')


@dataclass(frozen=True, slots=True)
class Event:
    text: str
    message: str  # without the fields
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a template: a field, or the text between two."""

    template: str
    key: str | None
    count: int  # number of arguments


def of(record: logging.LogRecord) -> Event | None:
    """None if the record is not a template with its arguments in order."""
    arguments = record.args
    if not isinstance(record.msg, str) or not isinstance(arguments, tuple):
        return None
    parts = parts_of(record.msg)
    if not arguments:  # then logging does not format the message at all
        return Event(line(record.msg, MAX_CHARACTERS), line(record.msg, MAX_CHARACTERS), {})
    if sum(part.count for part in parts) != len(arguments):
        return None
    texts: list[str] = []
    words: list[str] = []
    fields: dict[str, Any] = {}
    place = 0
    for part in parts:
        given, place = arguments[place : place + part.count], place + part.count
        text = part.template % given
        if part.key is None:
            texts.append(line(text, MAX_CHARACTERS))
            words.append(text)
        else:
            texts.append(f"{part.key}={quoted(text)}")
            fields[part.key] = value_of(part.template, text, given)
    return Event("".join(texts), without_gaps("".join(words)), fields)


def without_gaps(message: str) -> str:
    """Each field leaves one blank in the message, and none before a colon."""
    return re.sub(r" +(?=:)| (?= )", "", message).strip()


@lru_cache(maxsize=1000)
def parts_of(template: str) -> tuple[Part, ...]:
    parts, place = [], 0
    for field in FIELD.finditer(template):
        parts += [part_of(template[place : field.start()]), part_of(field[2], field[1])]
        place = field.end()
    return (*parts, part_of(template[place:]))


def part_of(template: str, key: str | None = None) -> Part:
    return Part(template, key, sum(found[1] != "%" for found in CONVERSION.finditer(template)))


def value_of(template: str, text: str, given: tuple[Any, ...]) -> Any:
    """A number stays a number, with the precision of the template. Anything else becomes text."""
    if ONE_VALUE.fullmatch(template) and (given[0] is None or isinstance(given[0], bool | int | float)):
        return float(text.rstrip("s")) if isinstance(given[0], float) else given[0]
    return text


def quoted(text: str, limit: int = MAX_CHARACTERS) -> str:
    """A value in the form for `key=`."""
    text = line(text, limit)
    return text if UNQUOTED.fullmatch(text) else json.dumps(text, ensure_ascii=False)
