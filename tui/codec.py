"""Converts values to JSON and back. Each kind of value is a pair of functions; a record is a table of named fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


class Misfit(Exception):
    """A value in the file is not of the expected kind."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`write` converts a value to JSON. `read` converts JSON back to the value, or raises Misfit."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record: its name in the file, its kind, and its attribute."""

    name: str
    kind: Kind
    attribute: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Record(Kind):
    """A record as an object with these fields. Other fields in a file are ignored: a later version wrote them."""

    made: Callable[..., Any]
    fields: tuple[Field, ...]


def field(name: str, kind: Kind, attribute: str | None = None) -> Field:
    return Field(name, kind, attribute or name, is_required=True)


def maybe(name: str, kind: Kind, attribute: str | None = None) -> Field:
    """A field that is left out when it is empty."""
    return Field(name, kind, attribute or name, is_required=False)


def plain(kinds: type | tuple[type, ...], words: str) -> Kind:
    """A type that JSON has itself."""

    def read(value: Any) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise Misfit(f"{shown(value)} is no {words}")
        return value

    return Kind(lambda value: value, read)


def read_moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Misfit(f"{shown(value)} is not a time") from None


TEXT = plain(str, "text")
FLAG = plain(bool, "true or false")
INTEGER = plain(int, "whole number")
NUMBER = Kind(lambda value: value, lambda value: float(plain((int, float), "number").read(value)))
MOMENT = Kind(lambda value: value.isoformat(), read_moment)
OBJECT = plain(dict, "object")
JSON = Kind(lambda value: value, lambda value: value)


def either(kind: Kind) -> Kind:
    """A value of a kind, or null."""
    return Kind(
        lambda value: None if value is None else kind.write(value),
        lambda value: None if value is None else kind.read(value),
    )


def listed(kind: Kind) -> Kind:
    """A list of values of one kind."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Misfit(f"{shown(value)} is not a list")
        return tuple(kind.read(item) for item in value)

    return Kind(lambda value: [kind.write(item) for item in value], read)


def table(kind: Kind) -> Kind:
    """Values of one kind, by name."""

    def read(value: Any) -> dict[str, Any]:
        return {name: kind.read(item) for name, item in OBJECT.read(value).items()}

    return Kind(lambda value: {name: kind.write(item) for name, item in value.items()}, read)


def record(made: Callable[..., Any], *fields: Field) -> Record:
    def write(value: Any) -> dict[str, Any]:
        found = ((one, getattr(value, one.attribute)) for one in fields)
        return {one.name: one.kind.write(part) for one, part in found if one.is_required or part is not None}

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Misfit(f"{shown(value)} is not a {made.__name__}")
        parts = {}
        for one in fields:
            if one.name in value:
                parts[one.attribute] = read_part(one, value[one.name])
            elif one.is_required:
                raise Misfit(f"{made.__name__} has no {one.name}")
        return made(**parts)

    return Record(write, read, made, fields)


def read_part(part: Field, value: Any) -> Any:
    try:
        return part.kind.read(value)
    except Misfit as error:
        raise Misfit(f"{part.name}: {error}") from None


def shown(value: Any) -> str:
    return repr(str(value)[:40])
