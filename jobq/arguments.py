"""Constructor arguments to JSON and back: the JSON types as they are, others under typed tags.

A tag is data: `{"$": "datetime", "v": "…"}` is looked up among the registered types, and nothing is ever imported or
called that the program did not register. A user's own dictionary with a "$" key is stored in a form of its own, so that
no value can pass for a tag.
"""

import base64
import dataclasses
import enum
import inspect
import json
import math
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, Final, TypeVar, Union
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobq.errors import ArgumentsError

TAG: Final = "$"
MAX_DEPTH: Final = 100
EXACT_INTEGRAL_FLOATS: Final = 1e16
"""jsonb turns larger floats without a fraction into integers."""

Type = TypeVar("Type", bound=type)


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a job's constructor, for listings and forms."""

    name: str
    kind: str  # positional, any, keyword, rest (*args) or named rest (**kwargs)
    annotation: str | None
    default: str | None
    required: bool


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.VAR_POSITIONAL: "rest",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "named rest",
}


# From a call to what is stored, and back


def bind(job_class: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor was called with, by parameter name; `*args` under "*name", `**kwargs` under "**name".

    Defaults are not filled in, so that one that is changed later applies. Raises ArgumentsError.
    """
    signature = signature_of(job_class)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentsError(
            f"{job_class.__name__}() cannot be called like this: {error}. Its parameters are {shown(signature)}."
        ) from None
    return {stored_name(signature.parameters[name]): value for name, value in bound.arguments.items()}


def rebuild(job_class: type, arguments: Mapping[str, Any]) -> object:
    """An instance, made by the constructor from stored arguments.

    Raises ArgumentsError where the names no longer fit; what the constructor itself raises passes through.
    """
    if not takes_only_names(job_class) or not arguments.keys() <= names_of(job_class):
        positional, named = call_of(job_class, arguments)
        return job_class(*positional, **named)
    if missing := required_of(job_class) - arguments.keys():
        raise misfit(job_class, f"{', '.join(sorted(missing))} is missing")
    return job_class(**arguments)


def call_of(job_class: type, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Stored arguments as a call takes them."""
    remaining = dict(arguments)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    is_gap = False
    for parameter in signature_of(job_class).parameters.values():
        key = stored_name(parameter)
        if key not in remaining:
            is_gap = is_gap or parameter.kind in (
                inspect.Parameter.POSITIONAL_ONLY,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
            )
            if parameter.default is parameter.empty and not key.startswith("*"):
                raise misfit(job_class, f"{parameter.name} is missing")
            continue
        value = remaining.pop(key)
        match parameter.kind:
            case inspect.Parameter.POSITIONAL_ONLY:
                positional.append(value)
            case inspect.Parameter.POSITIONAL_OR_KEYWORD if not is_gap:
                positional.append(value)
            case inspect.Parameter.VAR_POSITIONAL:
                if not isinstance(value, list | tuple):
                    raise misfit(job_class, f"{key} is no list")
                positional.extend(value)
            case inspect.Parameter.VAR_KEYWORD:
                if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
                    raise misfit(job_class, f"{key} is no dictionary of names")
                named.update(value)
            case _:
                named[parameter.name] = value
    if remaining:
        raise misfit(job_class, f"there is no {', '.join(sorted(remaining))}")
    return positional, named


def misfit(job_class: type, trouble: str) -> ArgumentsError:
    return ArgumentsError(
        f"the stored arguments do not fit {job_class.__name__}(): {trouble}. "
        f"Its parameters are {shown(signature_of(job_class))}."
    )


@lru_cache(maxsize=1024)
def signature_of(job_class: type) -> inspect.Signature:
    constructor = job_class.__init__  # type: ignore[misc]  # the class's own is what is asked for
    if constructor is object.__init__:
        return inspect.Signature()
    parameters = list(inspect.signature(constructor).parameters.values())[1:]  # without self
    return inspect.Signature(parameters)


@lru_cache(maxsize=1024)
def takes_only_names(job_class: type) -> bool:
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return all(parameter.kind in by_name for parameter in signature_of(job_class).parameters.values())


@lru_cache(maxsize=1024)
def names_of(job_class: type) -> frozenset[str]:
    return frozenset(signature_of(job_class).parameters)


@lru_cache(maxsize=1024)
def required_of(job_class: type) -> frozenset[str]:
    return frozenset(
        parameter.name
        for parameter in signature_of(job_class).parameters.values()
        if parameter.default is parameter.empty
    )


def stored_name(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return f"*{parameter.name}"
        case inspect.Parameter.VAR_KEYWORD:
            return f"**{parameter.name}"
    return parameter.name


def shown(signature: inspect.Signature) -> str:
    text = str(signature)
    return text if len(text) <= 300 else f"{text[:297]}…"


def parameters(job_class: type) -> tuple[Parameter, ...]:
    """The constructor's parameters, in order."""
    return tuple(
        Parameter(
            name=parameter.name,
            kind=KINDS[parameter.kind],
            annotation=None if parameter.annotation is parameter.empty else annotation_text(parameter.annotation),
            default=None if parameter.default is parameter.empty else safe_repr(parameter.default),
            required=parameter.default is parameter.empty and not stored_name(parameter).startswith("*"),
        )
        for parameter in signature_of(job_class).parameters.values()
    )


def annotation_text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)[:100]


def safe_repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's __repr__ may raise anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 100 else f"{text[:97]}…"


# Encoding


def encode(arguments: Mapping[str, Any], *, max_bytes: int | None = None) -> str:
    """Arguments as JSON text for a jsonb column. Raises ArgumentsError, which names the place of the culprit."""
    return to_text({name: encoded(value, name, 1) for name, value in arguments.items()}, max_bytes, "the arguments")


def encode_value(value: Any, *, max_bytes: int | None = None) -> str:
    """Any one value as JSON text: what run() returned. Raises ArgumentsError as `encode` does."""
    return to_text(encoded(value, "value", 0), max_bytes, "the value")


def to_text(value: Any, max_bytes: int | None, what: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:  # an integer beyond Python's limit of digits
        raise ArgumentsError(f"{what} cannot be stored: {error}.") from None
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise ArgumentsError(
            f"{what} take {size:,} bytes as JSON; {max_bytes:,} are allowed (max_arguments_bytes). "
            "Store the data elsewhere, and pass a reference to it."
        )
    return text


def encoded(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is str:
        return checked_text(value, path)
    if depth > MAX_DEPTH:
        raise ArgumentsError(f"{path[:200]}…: nested deeper than {MAX_DEPTH} levels, or within itself.")
    if kind is float:
        return {TAG: "float", "v": repr(value)} if is_inexact_in_jsonb(value) else value
    if kind is list:
        return [encoded(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if kind is dict:
        return encoded_dict(value, path, depth)
    if kind in (tuple, set, frozenset):
        items = value if kind is tuple else in_stable_order(value)
        return {
            TAG: kind.__name__,
            "v": [encoded(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)],
        }
    if (codec := CODECS_BY_TYPE.get(kind)) is not None:
        return {TAG: codec.name, "v": encoded(codec.dump(value), path, depth + 1)}
    if isinstance(value, PurePath):
        return {TAG: "path", "v": checked_text(str(value), path)}
    raise ArgumentsError(f"{path}: {refusal(value)}")


def is_inexact_in_jsonb(value: float) -> bool:
    """jsonb refuses what is no number, forgets the sign of zero, and makes large floats integers."""
    if value == 0:
        return math.copysign(1, value) < 0
    return not math.isfinite(value) or (abs(value) >= EXACT_INTEGRAL_FLOATS and value.is_integer())


def encoded_dict(value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
    if TAG not in value and all(type(key) is str for key in value):
        return {
            checked_text(key, f"{path} (a key)"): encoded(item, f"{path}.{key}", depth + 1)
            for key, item in value.items()
        }
    return {
        TAG: "dict",
        "v": [
            [encoded(key, f"{path} (a key)", depth + 2), encoded(item, f"{path}[{safe_repr(key)}]", depth + 2)]
            for key, item in value.items()
        ],
    }


def in_stable_order(items: set[Any] | frozenset[Any]) -> list[Any]:
    """Equal sets are stored alike, whatever the order in which they give their members."""
    return sorted(items, key=lambda item: (type(item).__name__, safe_repr(item)))


def checked_text(text: str, path: str) -> str:
    if "\0" in text:
        raise ArgumentsError(f"{path}: PostgreSQL cannot store the character NUL (\\0). Take it out, or pass bytes.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentsError(f"{path}: half of a surrogate pair cannot be stored. Pass bytes instead.") from None
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


def decode(text: str) -> dict[str, Any]:
    """Stored arguments as they were. Raises ArgumentsError where the text is none that `encode` writes."""
    try:
        loaded = json.loads(text)
        if f'"{TAG}"' in text or "\\u0024" in text:
            loaded = decoded_members(loaded)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ArgumentsError):
            raise
        raise ArgumentsError(f"the stored arguments cannot be read: {error}.") from None
    if not isinstance(loaded, dict):
        raise ArgumentsError("the stored arguments are no JSON object.")
    return loaded


def decoded_members(loaded: Any) -> Any:
    if not isinstance(loaded, dict):
        return loaded
    return {name: decoded(value) for name, value in loaded.items()}


def decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decoded(item) for key, item in value.items()}
    name = value[TAG]
    codec = CODECS_BY_NAME.get(name) if isinstance(name, str) else None
    if codec is None or value.keys() != {TAG, "v"}:
        raise ArgumentsError(f"there is no argument type {safe_repr(name)}; register it where the jobs are defined.")
    try:
        return codec.load(decoded(value["v"]))
    except ArgumentsError:
        raise
    except Exception as error:  # noqa: BLE001 - a stored value of any shape meets a loader of any kind
        raise ArgumentsError(f"a stored {name} cannot be read: {type(error).__name__}: {error}") from None


# Types


@dataclasses.dataclass(frozen=True, slots=True)
class Codec:
    name: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


CODECS_BY_TYPE: dict[type, Codec] = {}
CODECS_BY_NAME: dict[str, Codec] = {}


def register_type(cls: type, *, name: str, dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> None:
    """Lets values of a class be arguments: `dump` gives something that can be stored, `load` makes the value again.

    `name` is stored with each value, so it stays when the class is renamed. Raises ArgumentsError where it is taken.
    """
    known = CODECS_BY_NAME.get(name)
    if known is not None and CODECS_BY_TYPE.get(cls) is not known and cls.__qualname__ != name.rpartition(".")[2]:
        raise ArgumentsError(f"the name {name!r} is taken by another argument type. Choose another.")
    CODECS_BY_TYPE[cls] = CODECS_BY_NAME[name] = Codec(name, dump, load)


def storable(cls: Type) -> Type:
    """Lets an Enum or a dataclass of yours be an argument: members go by name, dataclasses by their fields."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if issubclass(cls, enum.Enum):
        members = cls
        register_type(cls, name=name, dump=lambda member: member.name, load=lambda stored: members[stored])
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
        register_type(
            cls,
            name=name,
            dump=lambda value: {field: getattr(value, field) for field in fields},
            load=lambda stored: cls(**stored),
        )
    else:
        raise ArgumentsError(f"{name} is neither an Enum nor a dataclass: use jobq.arguments.register_type.")
    return cls


def dump_datetime(value: datetime) -> list[Any]:
    zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    return [value.isoformat(), value.fold, zone]


def load_datetime(stored: list[Any]) -> datetime:
    text, fold, zone = stored
    value = datetime.fromisoformat(text)
    if zone is not None:
        try:
            value = value.replace(tzinfo=ZoneInfo(zone))
        except ZoneInfoNotFoundError:
            raise ArgumentsError(f"there is no time zone {zone!r} on this machine.") from None
    return value.replace(fold=fold)


def load_pairs(stored: list[Any]) -> dict[Any, Any]:
    return {key: value for key, value in stored}  # noqa: C416 - each entry must be a pair


def load_float(stored: str) -> float:
    if not isinstance(stored, str):
        raise TypeError(stored)
    return float(stored)


register_type(datetime, name="datetime", dump=dump_datetime, load=load_datetime)
register_type(date, name="date", dump=date.isoformat, load=date.fromisoformat)
register_type(time, name="time", dump=lambda value: [value.isoformat(), value.fold],
              load=lambda stored: time.fromisoformat(stored[0]).replace(fold=stored[1]))
register_type(timedelta, name="timedelta", dump=lambda value: [value.days, value.seconds, value.microseconds],
              load=lambda stored: timedelta(*stored))
register_type(Decimal, name="decimal", dump=str, load=Decimal)
register_type(uuid.UUID, name="uuid", dump=str, load=uuid.UUID)
register_type(bytes, name="bytes", dump=lambda value: base64.b64encode(value).decode(),
              load=lambda stored: base64.b64decode(stored, validate=True))
CODECS_BY_NAME |= {
    codec.name: codec
    for codec in (
        Codec("path", str, Path),
        Codec("tuple", list, tuple),
        Codec("set", list, set),
        Codec("frozenset", list, frozenset),
        Codec("dict", dict.items, load_pairs),
        Codec("float", repr, load_float),
    )
}


# From a shell


def from_command_line(
    job_class: type, positional: Sequence[str], named: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """What was typed after `jobq enqueue CLASS`, converted as the parameters' annotations say.

    Raises ArgumentsError, which names the parameter, what was found and what is wanted.
    """
    hints = hints_of(job_class)
    listed = [
        parameter
        for parameter in signature_of(job_class).parameters.values()
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    rest = [p for p in signature_of(job_class).parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL]
    args = []
    for index, text in enumerate(positional):
        parameter = listed[index] if index < len(listed) else (rest[0] if rest else None)
        if parameter is None:
            raise ArgumentsError(
                f"{job_class.__name__}() takes {len(listed)} arguments, but {len(positional)} were given. "
                f"Its parameters are {shown(signature_of(job_class))}."
            )
        args.append(converted(text, hints.get(parameter.name), parameter.name))
    kwargs = {
        name: converted(value, hints.get(name), name) if isinstance(value, str) else value
        for name, value in named.items()
    }
    bind(job_class, args, kwargs)
    return args, kwargs


def hints_of(job_class: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(job_class.__init__)  # type: ignore[misc]  # as above
    except Exception:  # noqa: BLE001 - a name that only a type checker can resolve
        return {}


def converted(text: str, hint: Any, name: str) -> Any:
    """Text as the annotation wants it; without one, as JSON where it is JSON other than a string."""
    if hint is None or hint is Any:
        return guessed(text)
    for option in options_of(hint):
        try:
            return CONVERTERS.get(option, constructor_of(option))(text)
        except (ValueError, TypeError, KeyError, InvalidOperation):
            continue
    raise ArgumentsError(f"{name} is {safe_repr(text)}, but must be {annotation_text(hint)}.")


def options_of(hint: Any) -> list[Any]:
    """The types of a union, the pickiest first: text fits anything."""
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        options = [option for member in typing.get_args(hint) for option in options_of(member)]
        return sorted(options, key=lambda option: option is str)
    if origin is typing.Annotated:
        return options_of(typing.get_args(hint)[0])
    if origin is typing.Literal:
        return [hint]
    return [origin or hint]


def guessed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def constructor_of(option: Any) -> Callable[[str], Any]:
    if isinstance(option, type) and issubclass(option, enum.Enum):
        return lambda text: member_of(option, text)
    if typing.get_origin(option) is typing.Literal:
        return lambda text: literal_of(option, text)
    return guessed


def member_of(members: type[enum.Enum], text: str) -> enum.Enum:
    if text in members.__members__:
        return members[text]
    for member in members:
        if str(member.value) == text:
            return member
    raise ValueError(text)


def literal_of(literal: Any, text: str) -> Any:
    for value in typing.get_args(literal):
        if str(value) == text:
            return value
    raise ValueError(text)


def to_none(text: str) -> None:
    if text.lower() not in ("none", "null", ""):
        raise ValueError(text)


def to_bool(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    return known[text.lower()]


def json_of(*wanted: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, list if wanted[0] is not dict else dict):
            raise ValueError(text)
        return wanted[0](value)

    return convert


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
    list: json_of(list),
    tuple: json_of(tuple),
    set: json_of(set),
    frozenset: json_of(frozenset),
    dict: json_of(dict),
}


ANNOTATIONS: dict[str, Any] = {
    name: kind
    for kind in CONVERTERS
    if isinstance(kind, type)
    for name in (kind.__name__, f"{kind.__module__}.{kind.__name__}")
} | {"None": types.NoneType}
"""What a text like `int` or `datetime.date` in a parameter's annotation stands for."""


def from_annotation(annotation: str | None, text: str) -> Any:
    """Text as an annotation wants it that is itself known as text only, where the class cannot be imported.

    Of what is not known here (an enum, a dataclass, an alias) it takes JSON, or the text itself: the worker that has
    the class is the judge of it. Raises ArgumentsError.
    """
    if is_tagged(value := guessed(text)):
        return decoded(value)
    options = [part.strip() for part in re.split(r"\|(?![^\[]*\])", annotation or "")]
    kinds = [ANNOTATIONS.get(option.partition("[")[0]) for option in options]
    if any(kind is None for kind in kinds):
        return value
    for kind in sorted(kinds, key=lambda kind: kind is str):
        try:
            return CONVERTERS[kind](text)
        except (ValueError, TypeError, KeyError, InvalidOperation):
            continue
    raise ArgumentsError(f"{safe_repr(text)} is no {annotation}")


def is_tagged(value: Any) -> bool:
    return isinstance(value, dict) and TAG in value
