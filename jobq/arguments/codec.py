"""Converts arguments and values to JSON and back: JSON types as they are, others under typed tags."""

import dataclasses
import enum
import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring as quoted
from typing import Any, Final

from jobq.arguments.registered import CODECS_BY_NAME, CODECS_BY_TYPE, ROWS, Codec, LoadRow, RowAdapter, RowReference
from jobq.arguments.stored_json import (
    EXACT_INTEGRAL_FLOATS,
    MAX_DEPTH,
    MAX_INTEGER_BITS,
    MAX_READ_DEPTH,
    TAG,
    is_deeper,
)
from jobq.arguments.words import safe_repr
from jobq.errors import ArgumentsError

UNKEPT: Final = "unkept"

parse = json.JSONDecoder().raw_decode
"""jsonb returns no white space around a value, and skipping it takes twice as long as the rest."""

# Encoding


def encode(arguments: Mapping[str, Any], *, max_bytes: int | None = None) -> str:
    """Arguments as JSON text for a jsonb column. Raises ArgumentsError, which names the place of the invalid value."""
    members = [f"{quoted(name)}:{encoded(value, name, 1)}" for name, value in arguments.items()]
    text = f"{{{','.join(members)}}}"
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise ArgumentsError(
            f"the arguments take {size:,} bytes as JSON; {max_bytes:,} are allowed (max_arguments_bytes). "
            "Store the data elsewhere, and pass a reference to it."
        )
    return text


def encode_value(value: Any, *, max_bytes: int | None = None) -> str:
    """Any one value as JSON text: the return value of run(). Raises ArgumentsError like `encode`."""
    text = encoded(value, "value", 0)
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise ArgumentsError(f"it takes {size:,} bytes as JSON; {max_bytes:,} are allowed")
    return text


def encode_note(note: str) -> str:
    """Replaces a value that cannot be stored, and says why. No real value has this form."""
    return tagged(UNKEPT, quoted(note))


def value_and_note(stored: Any) -> tuple[Any, str | None]:
    """A stored value, and the note that replaced it if it was not stored."""
    match stored:
        case {"$": "unkept", "v": str(note)}:
            return None, note
    return stored, None


def encoded(value: Any, path: str, depth: int) -> str:
    """A value as JSON text. It is written while it is checked: a second pass took twice as long."""
    kind = type(value)
    if kind is str:
        return quoted(value if value.isascii() and "\0" not in value else checked_text(value, path))
    if kind is int:
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ArgumentsError(
                f"{path[:200]}: an integer of more than 4,000 digits cannot be stored. Pass it as bytes."
            )
        return repr(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if depth > MAX_DEPTH:
        raise ArgumentsError(f"{path[:200]}…: nested deeper than {MAX_DEPTH} levels, or within itself.")
    if kind is float:
        return tagged("float", quoted(repr(value))) if is_inexact_in_jsonb(value) else repr(value)
    if kind is dict:
        return encoded_dict(value, path, depth)
    if kind in (list, tuple, set, frozenset):
        items = [encoded(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        if kind in (set, frozenset):
            items.sort()  # equal sets are stored equally, whatever the order of their members
        text = f"[{','.join(items)}]"
        return text if kind is list else tagged(kind.__name__, text)
    if (codec := CODECS_BY_TYPE.get(kind)) is not None:
        return tagged(codec.name, encoded(dumped(value, codec, path), path, depth + 1))
    if kind is RowReference:
        return tagged(value.name, encoded(value.stored, path, depth + 1))
    for adapter in ROWS.values():
        if adapter.recognises(value):
            return tagged(adapter.name, encoded(adapter.refer(value), path, depth + 1))
    raise ArgumentsError(f"{path[:200]}: {refusal(value)}")


def tagged(name: str, text: str) -> str:
    return f'{{"{TAG}":{quoted(name)},"v":{text}}}'


def dumped(value: Any, codec: "Codec", path: str) -> Any:
    try:
        return codec.dump(value)
    except Exception as error:  # `dump` may be the user's
        raise ArgumentsError(
            f"{path[:200]}: this {codec.name} cannot be stored: {type(error).__name__}: {error}"
        ) from error


def is_inexact_in_jsonb(value: float) -> bool:
    """jsonb refuses NaN, loses the sign of zero, and turns large floats into integers."""
    if value == 0:
        return math.copysign(1, value) < 0
    return not math.isfinite(value) or (abs(value) >= EXACT_INTEGRAL_FLOATS and value.is_integer())


def encoded_dict(value: dict[Any, Any], path: str, depth: int) -> str:
    if TAG not in value and all(type(key) is str for key in value):
        members = [
            f"{quoted(checked_text(key, f'{path} (a key)'))}:{encoded(item, f'{path}.{key}', depth + 1)}"
            for key, item in value.items()
        ]
        return f"{{{','.join(members)}}}"
    pairs = [
        f"[{encoded(key, f'{path} (a key)', depth + 2)},{encoded(item, f'{path}[{safe_repr(key)}]', depth + 2)}]"
        for key, item in value.items()
    ]
    return tagged("dict", f"[{','.join(pairs)}]")


def checked_text(text: str, path: str) -> str:
    if "\0" in text:
        raise ArgumentsError(
            f"{path[:200]}: PostgreSQL cannot store the character NUL (\\0). Take it out, or pass bytes."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentsError(f"{path[:200]}: half of a surrogate pair cannot be stored. Pass bytes instead.") from None
    return text


def refusal(value: Any) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if callable(value) and not isinstance(value, type) and hasattr(value, "__name__"):
        return f"the function {value.__name__} cannot be stored. Pass data, and let run() choose what to call."
    if isinstance(value, enum.Enum) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return f"a {kind} cannot be stored yet. Decorate the class with @jobq.arguments.storable."
    if isinstance(value, str | int | float | list | dict | tuple | set | frozenset):
        return f"a {kind} would come back as its plain base type. Pass that, or register the type (register_type)."
    return f"a {kind} cannot be stored. Pass what identifies it, or register the type (jobq.arguments.register_type)."


# Decoding


def decode(text: str, *, row: "LoadRow | None" = None) -> dict[str, Any]:
    """Stored arguments, decoded. Raises ArgumentsError for a text that `encode` would not write.

    `row` replaces the loading of the rows that they refer to.
    """
    if text == "{}":  # common; parsing it is a tenth of the child's time for an empty job
        return {}
    try:
        loaded, end = parse(text)
        if end != len(text):
            raise ValueError("there is more behind them")
        # Counting the brackets first is cheap, and nearly always enough.
        if text.count("[") + text.count("{") > MAX_READ_DEPTH and is_deeper(loaded, MAX_READ_DEPTH):
            raise ValueError("they are nested too deep")
        if f'"{TAG}"' in text or "\\u0024" in text:
            loaded = decoded_members(loaded, row)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ArgumentsError):
            raise
        raise ArgumentsError(f"the stored arguments cannot be read: {error}.") from None
    if not isinstance(loaded, dict):
        raise ArgumentsError("the stored arguments are not a JSON object.")
    return loaded


def decoded_members(loaded: Any, row: "LoadRow | None" = None) -> Any:
    if not isinstance(loaded, dict):
        return loaded
    return {name: decoded(value, row) for name, value in loaded.items()}


def decoded(value: Any, row: "LoadRow | None" = None) -> Any:
    if isinstance(value, list):
        return [decoded(item, row) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decoded(item, row) for key, item in value.items()}
    name = value[TAG]
    if isinstance(name, str) and name in ROWS and value.keys() == {TAG, "v"}:
        return (row or RowAdapter.load_row)(ROWS[name], decoded(value["v"], row))
    codec = CODECS_BY_NAME.get(name) if isinstance(name, str) else None
    if codec is None or value.keys() != {TAG, "v"}:
        raise ArgumentsError(f"there is no argument type {safe_repr(name)}; register it where the jobs are defined.")
    try:
        return codec.load(decoded(value["v"], row))
    except ArgumentsError:
        raise
    except Exception as error:  # noqa: BLE001 - a stored value of any shape meets a loader of any kind
        raise ArgumentsError(f"a stored {name} cannot be read: {type(error).__name__}: {error}") from None
