"""Constructor arguments to JSON and back: the JSON types as they are, others under typed tags.

A tag is data: `{"$": "datetime", "v": "…"}` is looked up among the registered types, and nothing is ever imported or
called that the program did not register. A user's own dictionary with a "$" key is stored in a form of its own, so that
no value can pass for a tag.
"""

import ast
import base64
import collections.abc
import dataclasses
import enum
import inspect
import json
import math
import types
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from json.encoder import encode_basestring as quoted
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar, Union

from jobq.clean import line
from jobq.errors import ArgumentsError, RowGone
from jobq.names import name_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

TAG: Final = "$"
SECRET: Final = "secret"  # noqa: S105 - a tag
UNKEPT: Final = "unkept"
MASK: Final = "•••"
MIGRATE: Final = "migrate_arguments"
MAX_DEPTH: Final = 100
MAX_JSON_DEPTH: Final = 3 * MAX_DEPTH
"""What `encode` writes is never deeper: a tag and its content are two levels, and pairs one more."""

MAX_READ_DEPTH: Final = 400
"""Deepest stored JSON that is read, for rows written by other hands. Every supported Python can parse and decode that
much below its recursion limit, so that no Python refuses what another accepts."""
MAX_INTEGER_BITS: Final = 14_000
"""Of some 4,200 digits: Python reads no more than 4,300 from a text."""
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
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Secret:
    """A text that a job may use and nobody gets to see: `Secret("…")`, and in the job `self.key.reveal()`.

    Lists, details, logs, tracebacks and traces show `Secret(•••)`, and `•••` where an error that the job raises has the
    text itself in it. In the database it is stored as it is: whoever may read its tables, or its backups, can read it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ArgumentsError(f"Secret() takes text, not a {type(text).__name__}.")
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        import hmac  # here: it loads OpenSSL's hashes

        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def without_secrets(stored: Any) -> Any:
    """Stored arguments, or a stored value, as they may be shown: every secret in them is masked, however deep."""
    if isinstance(stored, list):
        return [without_secrets(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if stored.get(TAG) == SECRET:
        return {TAG: SECRET, "v": MASK}
    return {key: without_secrets(value) for key, value in stored.items()}


def masked(text: str, stored: str) -> str:
    """What a job says, as it may be shown: the secrets of its stored arguments are masked where they are in it.

    Also as they look in quotes, in JSON, in an address, and line by line, as a traceback indents them. A secret of
    fewer than four characters stays: it would be found everywhere.
    """
    if f'"{SECRET}"' not in stored:
        return text
    looks = {look for secret in secrets_in(legible(stored)) for look in looks_of(secret) if len(look) >= 4}
    for look in sorted(looks, key=len, reverse=True):
        text = text.replace(look, MASK)
    return text


def secrets_in(stored: Any) -> Iterator[str]:
    """The texts of all secrets, however deep."""
    rest = [stored]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if value.get(TAG) == SECRET and isinstance(value.get("v"), str):
                yield value["v"]
            rest += value.values()
        elif isinstance(value, list):
            rest += value


def looks_of(secret: str) -> Iterator[str]:
    from urllib.parse import quote, quote_plus

    for text in (secret, *secret.splitlines()):
        yield from (text.strip(), repr(text)[1:-1], repr(text.encode())[2:-1], json.dumps(text)[1:-1])
        yield from (json.dumps(text, ensure_ascii=False)[1:-1], quote(text), quote_plus(text))


# From a call to what is stored, and back


def bind(job_class: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor was called with, by parameter name; `*args` under "*name", `**kwargs` under "**name".

    Defaults are not filled in, so that one that is changed later applies. Raises ArgumentsError.
    """
    if (names := names_of(job_class)) is not None:  # the rule of signature.bind(), in a twentieth of its time
        named = dict(zip(names.by_position, args, strict=False))
        if not kwargs:
            if names.fewest <= len(args) <= len(names.by_position):
                return named
        elif len(args) <= len(names.by_position) and named.keys().isdisjoint(kwargs):
            named.update(kwargs)
            if names.fit(named):
                return named
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
    if (migrate := getattr(job_class, MIGRATE, None)) is not None and trouble_with(job_class, arguments) is not None:
        arguments = migrated(job_class, migrate, arguments)
    if (names := names_of(job_class)) is not None and names.fit(arguments):
        return job_class(**arguments)
    positional, named = call_of(job_class, arguments)
    return job_class(*positional, **named)


def migrated(
    job_class: type, migrate: Callable[[dict[str, Any]], Any], arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Arguments of an older shape, as the class says that they are given now. What it raises itself passes through."""
    answer = migrate(dict(arguments))
    if not isinstance(answer, Mapping):
        raise ArgumentsError(f"{job_class.__name__}.{MIGRATE}() returned {safe_repr(answer)}, which is no dictionary.")
    return answer


def trouble_with(job_class: type, arguments: Mapping[str, Any]) -> ArgumentsError | None:
    """Why stored arguments do not fit the constructor's parameters; None where they do."""
    if (names := names_of(job_class)) is not None and names.fit(arguments):
        return None
    try:
        call_of(job_class, arguments)
    except ArgumentsError as error:
        return error
    return None


def check_stored(job_class: type, text: str) -> None:
    """Finds out whether stored arguments would load, without making the job or loading the rows that they refer to.

    Raises ArgumentsError where they would not; what the class's own `migrate_arguments` raises passes through.
    """
    arguments: Mapping[str, Any] = decode(text, row=lambda _codec, _stored: None)
    trouble = trouble_with(job_class, arguments)
    if trouble is not None and (migrate := getattr(job_class, MIGRATE, None)) is not None:
        trouble = trouble_with(job_class, migrated(job_class, migrate, arguments))
    if trouble is not None:
        raise trouble


def call_of(job_class: type, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Stored arguments as a call takes them."""
    remaining = dict(arguments)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in signature_of(job_class).parameters.values():
        key = stored_name(parameter)
        if key not in remaining:
            if parameter.default is parameter.empty and not key.startswith("*"):
                raise misfit(job_class, f"{parameter.name} is missing")
            if parameter.kind in BY_POSITION:  # or what comes after it would take its place
                positional.append(parameter.default)
            continue
        value = remaining.pop(key)
        match parameter.kind:
            case inspect.Parameter.POSITIONAL_ONLY | inspect.Parameter.POSITIONAL_OR_KEYWORD:
                positional.append(value)
            case inspect.Parameter.VAR_POSITIONAL:
                if not isinstance(value, list | tuple):
                    raise misfit(job_class, f"{key} is no list")
                positional.extend(value)
            case inspect.Parameter.VAR_KEYWORD:
                if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
                    raise misfit(job_class, f"{key} is no dictionary of names")
                if twice := value.keys() & own_names_of(job_class):
                    raise misfit(job_class, f"{', '.join(sorted(twice))} in {key} is a parameter of its own")
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
    first, *others = inspect.signature(constructor).parameters.values()
    # Without self; a decorator's `*args` takes it along with the rest.
    return inspect.Signature([first, *others] if first.kind is first.VAR_POSITIONAL else others)


class Names(NamedTuple):
    """The parameters of a constructor that takes each by its name, as nearly all do."""

    by_position: tuple[str, ...]
    fewest: int  # of them: so many are enough where nothing is given by name
    required: frozenset[str]
    all: frozenset[str]

    def fit(self, arguments: Mapping[str, Any]) -> bool:
        return self.required <= arguments.keys() <= self.all


@lru_cache(maxsize=1024)
def names_of(job_class: type) -> Names | None:
    """None where some parameters have no name that could be given."""
    taken = signature_of(job_class).parameters.values()
    if any(parameter.kind not in BY_NAME for parameter in taken):
        return None
    required = [parameter for parameter in taken if parameter.default is parameter.empty]
    by_name_only = any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required)
    by_position = tuple(parameter.name for parameter in taken if parameter.kind in BY_POSITION)
    return Names(
        by_position,
        len(by_position) + 1 if by_name_only else len(required),
        frozenset(parameter.name for parameter in required),
        frozenset(parameter.name for parameter in taken),
    )


@lru_cache(maxsize=1024)
def own_names_of(job_class: type) -> frozenset[str]:
    """The names that `**kwargs` cannot hold, since a parameter has them: self, too."""
    parameters = inspect.signature(job_class.__init__).parameters.values()  # type: ignore[misc]  # as above
    return frozenset(parameter.name for parameter in parameters if parameter.kind in BY_NAME)


def stored_name(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return f"*{parameter.name}"
        case inspect.Parameter.VAR_KEYWORD:
            return f"**{parameter.name}"
    return parameter.name


def shown(signature: inspect.Signature) -> str:
    return safe_text(lambda: str(signature), f"({', '.join(signature.parameters)})", 300)


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
    if isinstance(annotation, str):
        return line(annotation)
    return safe_text(lambda: inspect.formatannotation(annotation), f"<{type(annotation).__name__}>", 100)


def safe_repr(value: Any) -> str:
    return safe_text(lambda: repr(value), f"<{type(value).__name__}>", 100)


def safe_text(show: Callable[[], str], otherwise: str, most: int) -> str:
    """What a `__repr__` of the user's says, where it says anything: fit for a message, and for PostgreSQL."""
    try:
        text = show()
    except Exception:  # noqa: BLE001 - the user's __repr__ may raise anything
        text = otherwise
    return line(text if len(text) <= most else f"{text[: most - 3]}…")


# Encoding


def encode(arguments: Mapping[str, Any], *, max_bytes: int | None = None) -> str:
    """Arguments as JSON text for a jsonb column. Raises ArgumentsError, which names the place of the culprit."""
    members = [f"{quoted(name)}:{encoded(value, name, 1)}" for name, value in arguments.items()]
    text = f"{{{','.join(members)}}}"
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise ArgumentsError(
            f"the arguments take {size:,} bytes as JSON; {max_bytes:,} are allowed (max_arguments_bytes). "
            "Store the data elsewhere, and pass a reference to it."
        )
    return text


def encode_value(value: Any, *, max_bytes: int | None = None) -> str:
    """Any one value as JSON text: what run() returned. Raises ArgumentsError as `encode` does."""
    text = encoded(value, "value", 0)
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise ArgumentsError(f"it takes {size:,} bytes as JSON; {max_bytes:,} are allowed")
    return text


def encode_note(note: str) -> str:
    """What takes the place of a value that cannot be kept: why not. No value is stored like this."""
    return tagged(UNKEPT, quoted(note))


def value_and_note(stored: Any) -> tuple[Any, str | None]:
    """A stored value, and the note in its place where it was not kept."""
    match stored:
        case {"$": "unkept", "v": str(note)}:
            return None, note
    return stored, None


def encoded(value: Any, path: str, depth: int) -> str:
    """A value as JSON text. Written as it is checked: to go through it once more as a whole took twice as long."""
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
            items.sort()  # equal sets are stored alike, whatever the order in which they give their members
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
    """jsonb refuses what is no number, forgets the sign of zero, and makes large floats integers."""
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
    """Stored arguments as they were. Raises ArgumentsError where the text is none that `encode` writes.

    `row` takes the place of loading the rows that they refer to.
    """
    try:
        loaded = json.loads(text)
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
        raise ArgumentsError("the stored arguments are no JSON object.")
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


def legible(stored: str | bytes) -> Any:
    """Stored JSON to be shown, tags and all. What is too deep or too long to be JSON in Python comes as text, cut.

    Never written by `encode`; but one such row, from somebody's own SQL, must not hide all the others.
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


# Types


@dataclasses.dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type are stored, under which name, and made again."""

    name: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
    owner: type | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RowAdapter:
    """How a row of the user's own database is named, and loaded again: `register_rows`."""

    name: str
    recognises: Callable[[Any], bool]
    refer: Callable[[Any], Any]
    load: Callable[[Any], Any]
    refer_to_key: Callable[[type, str], Any] | None = None

    def load_row(self, stored: Any) -> Any:
        """Not as a codec does it: that the row is gone, or its database away, is no fault of what is stored."""
        return self.load(stored)


LoadRow = Callable[[RowAdapter, Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class RowReference:
    """What names a row, in the place of the row: for who reads arguments and writes them again."""

    name: str
    stored: Any

    @classmethod
    def to(cls, rows: RowAdapter, stored: Any) -> "RowReference":
        return cls(rows.name, stored)

ROWS: dict[str, RowAdapter] = {}


def register_rows(
    name: str,
    *,
    recognises: Callable[[Any], bool],
    refer: Callable[[Any], Any],
    load: Callable[[Any], Any],
    refer_to_key: Callable[[type, str], Any] | None = None,
) -> None:
    """Lets rows of your own database be arguments: a job gets them as they are when it runs.

    `refer` gives what identifies a row, as something that can be stored; `load` gets that back, and loads the row, or
    raises `jobq.errors.RowGone` with a message that names it. `refer_to_key` is for the shell: it gets the class in an
    annotation and what was typed, and returns what `refer` would; None where these rows are of no such class; it raises
    ValueError where no key looks like that. `jobq.references` has all this for Django and SQLAlchemy.
    """
    ROWS[name] = RowAdapter(name, recognises, refer, load, refer_to_key)


CODECS_BY_TYPE: dict[type, Codec] = {}
CODECS_BY_NAME: dict[str, Codec] = {}


def register_type(cls: type, *, name: str, dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> None:
    """Lets values of a class be arguments: `dump` gives something that can be stored, `load` makes the value again.

    `name` is stored with each value, so it stays when the class is renamed. Raises ArgumentsError where it is taken.
    """
    known = CODECS_BY_NAME.get(name)
    if known is not None and (known.owner is None or name_of(known.owner) != name_of(cls)):
        raise ArgumentsError(f"the name {name!r} is taken by another argument type. Choose another.")
    CODECS_BY_TYPE[cls] = CODECS_BY_NAME[name] = Codec(name, dump, load, cls)


def storable(cls: Type) -> Type:
    """Lets an Enum or a dataclass of yours be an argument: members go by name, flags by value, dataclasses by fields.

    Raises ArgumentsError where a dataclass's constructor takes anything else than its fields.
    """
    name = name_of(cls)
    if issubclass(cls, enum.Flag):
        register_type(cls, name=name, dump=lambda flags: flags.value, load=cls)
    elif issubclass(cls, enum.Enum):
        members = cls
        register_type(cls, name=name, dump=lambda member: member.name, load=lambda stored: members[stored])
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
        if other := set(fields) ^ set(inspect.signature(cls).parameters):
            raise ArgumentsError(
                f"the constructor of {name} and its fields differ in {', '.join(sorted(other))}: a value could not be "
                "made again from its fields. Use jobq.arguments.register_type."
            )
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
    return [value.isoformat(), value.fold, key_of(value.tzinfo)]


def load_datetime(stored: list[Any]) -> datetime:
    text, fold, zone = stored
    value = datetime.fromisoformat(text).replace(fold=fold)
    return value if zone is None else value.replace(tzinfo=zone_of(zone))


def dump_time(value: time) -> list[Any]:
    return [value.isoformat(), value.fold, key_of(value.tzinfo)]


def load_time(stored: list[Any]) -> time:
    text, fold, *zones = stored  # rows of earlier releases have none
    value = time.fromisoformat(text).replace(fold=fold)
    return value.replace(tzinfo=zone_of(zones[0])) if zones and zones[0] is not None else value


def key_of(zone: tzinfo | None) -> str | None:
    if zone is None:
        return None
    from zoneinfo import ZoneInfo

    return zone.key if isinstance(zone, ZoneInfo) else None


def zone_of(key: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(key)
    except ZoneInfoNotFoundError:
        raise ArgumentsError(f"there is no time zone {safe_repr(key)} on this machine.") from None


def load_pairs(stored: list[Any]) -> dict[Any, Any]:
    return {key: value for key, value in stored}  # noqa: C416 - each entry must be a pair


def load_float(stored: str) -> float:
    if not isinstance(stored, str):
        raise TypeError(stored)
    return float(stored)


register_type(datetime, name="datetime", dump=dump_datetime, load=load_datetime)
register_type(date, name="date", dump=date.isoformat, load=date.fromisoformat)
register_type(time, name="time", dump=dump_time, load=load_time)
register_type(timedelta, name="timedelta", dump=lambda value: [value.days, value.seconds, value.microseconds],
              load=lambda stored: timedelta(*stored))
register_type(Decimal, name="decimal", dump=str, load=Decimal)
register_type(uuid.UUID, name="uuid", dump=str, load=uuid.UUID)
register_type(Secret, name=SECRET, dump=Secret.reveal, load=Secret)
register_type(bytes, name="bytes", dump=lambda value: base64.b64encode(value).decode(),
              load=lambda stored: base64.b64decode(stored, validate=True))
register_type(type(Path()), name="path", dump=str, load=Path)
register_type(PurePosixPath, name="pure_posix_path", dump=str, load=PurePosixPath)
register_type(PureWindowsPath, name="pure_windows_path", dump=str, load=PureWindowsPath)
CODECS_BY_NAME |= {
    codec.name: codec
    for codec in (
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
    """What the annotations mean; without those that only a type checker can resolve."""
    with suppress(Exception):
        return typing.get_type_hints(annotated)
    hints: dict[str, Any] = {}
    names = getattr(inspect.unwrap(annotated), "__globals__", {})
    for name, annotation in getattr(annotated, "__annotations__", {}).items():
        with suppress(Exception):
            hints |= typing.get_type_hints(types.SimpleNamespace(__annotations__={name: annotation}), names)
    return hints


def converted(text: str, hint: Any, name: str) -> Any:
    """Text as the annotation wants it; without one, as JSON where it is JSON other than a string."""
    if hint is None or hint is Any:
        return guessed(text)
    return first_that_reads(text, options_of(hint), hint, name)


def fitted(value: Any, hint: Any, name: str) -> Any:
    """A value of a JSON document as the annotation wants it. There a string is a string, whatever it looks like."""
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
        except RowGone:  # one of a list, say
            raise
        except (ValueError, TypeError, KeyError, ArithmeticError):
            continue
        adapter, reference = row
        return adapter.load(reference)  # what it raises says more than we could
    raise ArgumentsError(f"{name} is {safe_repr(text)}, but must be {wanted(hint)}.")


def reference_of(option: Any, text: str) -> tuple[RowAdapter, Any] | None:
    """What names the row with this key, where an annotation is a class of rows; None where it is another type.

    Raises ValueError where no such key can be.
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
    """The annotation, with the names of an Enum's members; of a row, that it is its key."""
    members = [name for option in options_of(hint) if is_enum(option) for name in option.__members__]
    if any(is_row_class(option) for option in options_of(hint)):
        return f"the key of a row: {annotation_text(hint)}"
    return f"{annotation_text(hint)}: {', '.join(members[:20])}" if members else annotation_text(hint)


def options_of(hint: Any) -> list[Any]:
    """The types of a union, the pickiest first: text fits anything."""
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
    """What makes a value of one type from text, or raises ValueError, TypeError, KeyError or ArithmeticError."""
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


def read_json(text: str) -> Any:
    """Typed JSON. Raises ValueError also for what is JSON only to Python, and for what is too deep for it."""
    try:
        value = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if is_deeper(value, MAX_JSON_DEPTH):
        raise ValueError("it is nested too deep")
    return value


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"there is no {constant} in JSON")


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
    """A list, set, tuple or dictionary from JSON, its members as their own annotations want them."""
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
"""What any text is; the last resorts of a union, in this order."""

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
"""What a name in the text of an annotation stands for."""


def from_annotation(annotation: str | None, text: str) -> Any:
    """Text as an annotation wants it that is itself known as text only, where the class cannot be imported.

    Of what is not known here (an enum, a dataclass, an alias) it takes JSON, or the text itself: the worker that has
    the class is the judge of it. Raises ArgumentsError.
    """
    value = guessed(text)
    if isinstance(value, dict) and TAG in value:  # as it is stored
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
    """The type that an annotation names. Raises KeyError where a name in it is not known."""
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
