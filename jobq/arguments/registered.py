"""The types that may be arguments beyond those of JSON, each under its tag. Also rows of the user's own database."""

import base64
import dataclasses
import enum
import inspect
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar

from jobq.arguments.secrets import SECRET, Secret
from jobq.arguments.words import safe_repr
from jobq.errors import ArgumentsError
from jobq.names import name_of
from jobq.records import Alert

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Type = TypeVar("Type", bound=type)


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
        """Not as a codec does it: a missing row, or a database that is down, is not an error in the stored text."""
        return self.load(stored)


LoadRow = Callable[[RowAdapter, Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class RowReference:
    """The reference to a row, for code that reads arguments and writes them again without loading rows."""

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
    """Lets values of a class be arguments: `dump` returns something that can be stored, `load` makes the value again.

    `name` is stored with each value, so it stays when the class is renamed. Raises ArgumentsError if it is taken.
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
register_type(
    timedelta,
    name="timedelta",
    dump=lambda value: [value.days, value.seconds, value.microseconds],
    load=lambda stored: timedelta(*stored),
)
register_type(Decimal, name="decimal", dump=str, load=Decimal)
register_type(uuid.UUID, name="uuid", dump=str, load=uuid.UUID)
register_type(
    Alert,
    name="jobq.Alert",
    dump=lambda alert: {field.name: getattr(alert, field.name) for field in dataclasses.fields(alert)},
    load=lambda stored: Alert(**stored),
)
register_type(Secret, name=SECRET, dump=Secret.reveal, load=Secret)
register_type(
    bytes,
    name="bytes",
    dump=lambda value: base64.b64encode(value).decode(),
    load=lambda stored: base64.b64decode(stored, validate=True),
)
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
