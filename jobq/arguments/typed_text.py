"""Converts text typed into a shell or a form according to the annotations of parameters."""

import ast
import collections.abc
import dataclasses
import enum
import inspect
import json
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import repeat
from pathlib import Path, PurePath
from typing import Any, Final, Union

from jobq.arguments.binding import BY_NAME, BY_POSITION, bind, shown, signature_of
from jobq.arguments.codec import decoded
from jobq.arguments.registered import ROWS, RowAdapter
from jobq.arguments.secrets import Secret
from jobq.arguments.stored_json import TAG, read_json
from jobq.arguments.words import annotation_text, safe_repr
from jobq.errors import ArgumentsError, RowGone


def from_command_line(
    job_class: type, positional: Sequence[str], named: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments typed after `jobq enqueue CLASS`, converted according to the parameters' annotations.

    Raises ArgumentsError, which names the parameter, its text and the expected type.
    """
    hints = hints_of(job_class.__init__)  # type: ignore[misc]  # the class's own is what is asked for
    taken = signature_of(job_class).parameters
    listed = [name for name, parameter in taken.items() if parameter.kind in BY_POSITION]
    rest = [name for name, parameter in taken.items() if parameter.kind is inspect.Parameter.VAR_POSITIONAL]
    named_rest = [name for name, parameter in taken.items() if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    if len(positional) > len(listed) and not rest:
        raise ArgumentsError(
            f"{job_class.__name__}() takes {len(listed)} arguments, but {len(positional)} were given. "
            f"Its parameters are {shown(signature_of(job_class))}."
        )
    args = [
        converted(text, hints.get(name), name)
        for text, name in zip(positional, [*listed, *rest * len(positional)], strict=False)
    ]
    by_name = {name for name, parameter in taken.items() if parameter.kind in BY_NAME}
    kwargs = {
        name: fitted(value, hints.get(name if name in by_name else "".join(named_rest)), name)
        for name, value in named.items()
    }
    bind(job_class, args, kwargs)
    return args, kwargs


def hints_of(annotated: Any) -> dict[str, Any]:
    """The types of the annotations, without those that only a type checker can resolve."""
    with suppress(Exception):
        return typing.get_type_hints(annotated)
    hints: dict[str, Any] = {}
    names = getattr(inspect.unwrap(annotated), "__globals__", {})
    for name, annotation in getattr(annotated, "__annotations__", {}).items():
        with suppress(Exception):
            hints |= typing.get_type_hints(types.SimpleNamespace(__annotations__={name: annotation}), names)
    return hints


def converted(text: str, hint: Any, name: str) -> Any:
    """Text converted to its annotation. Without one, JSON is parsed if it is anything but a string."""
    if hint is None or hint is Any:
        return guessed(text)
    return first_that_reads(text, options_of(hint), hint, name)


def fitted(value: Any, hint: Any, name: str) -> Any:
    """A value of a JSON document, converted to its annotation. There a string stays a string."""
    if hint is None or hint is Any:
        return value
    options = options_of(hint)
    if type(value) in options or any(reader_of(option) is guessed and not is_row_class(option) for option in options):
        return value
    if isinstance(value, str):
        return first_that_reads(value, options, hint, name)
    return first_that_reads(json.dumps(value), [option for option in options if option not in TEXTS], hint, name)


def first_that_reads(text: str, options: Sequence[Any], hint: Any, name: str) -> Any:
    for option in options:
        try:
            if (row := reference_of(option, text)) is None:
                return reader_of(option)(text)
        except RowGone:  # for example one of a list
            raise
        except (ValueError, TypeError, KeyError, ArithmeticError):
            continue
        adapter, reference = row
        return adapter.load(reference)  # its own error says more than ours could
    raise ArgumentsError(f"{name} is {safe_repr(text)}, but must be {wanted(hint)}.")


def reference_of(option: Any, text: str) -> tuple[RowAdapter, Any] | None:
    """The reference to the row with this key, if the annotation is a class of rows. None for any other type.

    Raises ValueError if the key is impossible.
    """
    if not isinstance(option, type):
        return None
    for adapter in ROWS.values():
        if adapter.refer_to_key is not None and (reference := adapter.refer_to_key(option, text)) is not None:
            return adapter, reference
    return None


def is_row_class(option: Any) -> bool:
    try:
        return reference_of(option, "") is not None
    except ValueError:
        return True


def wanted(hint: Any) -> str:
    """The annotation, with the names of an Enum's members. For a row: that its key is expected."""
    members = [name for option in options_of(hint) if is_enum(option) for name in option.__members__]
    if any(is_row_class(option) for option in options_of(hint)):
        return f"the key of a row: {annotation_text(hint)}"
    return f"{annotation_text(hint)}: {', '.join(members[:20])}" if members else annotation_text(hint)


def options_of(hint: Any) -> list[Any]:
    """The types of a union, the strictest first: text fits anything."""
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        options = [option for member in typing.get_args(hint) for option in options_of(member)]
        return sorted(options, key=lambda option: TEXTS.index(option) + 1 if option in TEXTS else 0)
    if origin is typing.Annotated:
        return options_of(typing.get_args(hint)[0])
    if isinstance(hint, typing.NewType):
        return options_of(hint.__supertype__)
    return [hint]


def reader_of(option: Any) -> Callable[[str], Any]:
    """A function that makes a value of one type from text, or raises ValueError, TypeError, KeyError or
    ArithmeticError."""
    if typing.get_origin(option) is typing.Literal:
        return lambda text: literal_of(option, text)
    kind = typing.get_origin(option) or option
    if kind in CONVERTERS:
        return CONVERTERS[kind]
    if kind in COLLECTIONS:
        return lambda text: collection_of(kind, typing.get_args(option), text)
    if is_enum(kind):
        return lambda text: member_of(kind, text)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return lambda text: dataclass_of(kind, text)
    return guessed


def guessed(text: str) -> Any:
    try:
        value = read_json(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def is_enum(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, enum.Enum)


def member_of(members: type[enum.Enum], text: str) -> enum.Enum:
    if text in members.__members__:
        return members[text]
    for member in members:
        if str(member.value) == text:
            return member
    raise ValueError(text)


def literal_of(literal: Any, text: str) -> Any:
    for value in typing.get_args(literal):
        shown = value.name if isinstance(value, enum.Enum) else str(value)
        if shown == text or (shown in ("True", "False", "None") and guessed(text) is value):
            return value
    raise ValueError(text)


def collection_of(kind: Any, hints: Sequence[Any], text: str) -> Any:
    """A list, set, tuple or dictionary from JSON. Its members are converted to their own annotations."""
    make = COLLECTIONS[kind]
    loaded = read_json(text)
    if make is dict and isinstance(loaded, dict):
        key_hint, hint = hints or (None, None)
        return {fitted(key, key_hint, "a key"): fitted(value, hint, key) for key, value in loaded.items()}
    if make is dict or not isinstance(loaded, list):
        raise ValueError(text)
    if make is tuple and hints and hints[-1] is not Ellipsis:
        members = zip(loaded, hints, strict=True)
    else:
        members = zip(loaded, repeat(hints[0] if hints else None), strict=False)
    return make(fitted(value, hint, "a member") for value, hint in members)


def dataclass_of(cls: type, text: str) -> Any:
    """A dataclass from a JSON object of its fields."""
    loaded = read_json(text)
    if not isinstance(loaded, dict):
        raise ValueError(text)
    hints = hints_of(cls)
    return cls(**{name: fitted(value, hints.get(name), name) for name, value in loaded.items()})


def to_none(text: str) -> None:
    if text.lower() not in ("none", "null", ""):
        raise ValueError(text)


def to_bool(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    return known[text.lower()]


TEXTS: Final = (PurePath, Path, bytes, str)
"""Types that accept any text: the last resorts of a union, in this order."""

CONVERTERS: dict[Any, Callable[[str], Any]] = {
    types.NoneType: to_none,
    str: str,
    int: int,
    float: float,
    bool: to_bool,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: lambda text: timedelta(seconds=float(text)),
    Decimal: Decimal,
    uuid.UUID: uuid.UUID,
    Path: Path,
    PurePath: Path,
    bytes: str.encode,
    Secret: Secret,
}
COLLECTIONS: dict[Any, type] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    dict: dict,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: set,
    collections.abc.Mapping: dict,
}

ANNOTATIONS: dict[str, Any] = {
    name: kind
    for kind in (*CONVERTERS, *COLLECTIONS)
    if isinstance(kind, type)
    for name in (kind.__name__, f"{kind.__module__}.{kind.__name__}")
} | {"Any": Any, "typing.Any": Any}
"""The types for names in the text of an annotation."""


def from_annotation(annotation: str | None, text: str) -> Any:
    """Converts text to an annotation that is itself known only as text, if the class cannot be imported.

    For unknown types (an enum, a dataclass, an alias) it takes JSON, or the text itself: the worker that has the class
    decides about it. Raises ArgumentsError.
    """
    value = guessed(text)
    if isinstance(value, dict) and TAG in value:  # in its stored form
        return decoded(value)
    try:
        options = options_of(hint_of(ast.parse(annotation or "Any", mode="eval").body))
    except (SyntaxError, KeyError, TypeError):
        return value
    for option in options:
        try:
            return reader_of(option)(text)
        except (ValueError, TypeError, KeyError, ArithmeticError):
            continue
    raise ArgumentsError(f"{safe_repr(text)} is no {annotation}")


def hint_of(node: ast.expr) -> Any:
    """The type that an annotation names. Raises KeyError for an unknown name."""
    match node:
        case ast.Constant(value=None):
            return types.NoneType
        case ast.Constant(value=value) if value is ...:
            return ...
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[hint_of(left), hint_of(right)]  # noqa: UP007 - of values
        case ast.Subscript(value=base, slice=members):
            hints = members.elts if isinstance(members, ast.Tuple) else [members]
            return types.GenericAlias(hint_of(base), tuple(hint_of(hint) for hint in hints))
        case ast.Name() | ast.Attribute():
            return ANNOTATIONS[ast.unparse(node)]
    raise KeyError(ast.dump(node))
