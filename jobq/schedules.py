"""`Schedule`: when a job is due again and again."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from jobq.cron import FIELDS, Cron, Field
from jobq.errors import ScheduleError
from jobq.ticks import zone_of

MISSED = ("once", "skip", "all")
OVERLAP = ("allow", "skip")

MAX_JITTER_SECONDS = 86_400
MAX_NAME_CHARACTERS = 200

Part = int | str
"""The type of a keyword: a number, the text of a field, or several of these."""


class Verdict(StrEnum):
    """The result of a tick."""

    ENQUEUED = "enqueued"  # there is a job for it
    OVERLAPPED = "overlapped"  # the last job was not done, and they may not overlap
    HELD = "held"  # an unfinished job held the unique key
    MISSED = "missed"  # no worker ran at its time, and it was not to be made up for


@dataclass(frozen=True, slots=True, init=False)
class Schedule:
    """When a job is enqueued regularly: the attribute `schedule` of a job class, or one of its `schedules`.

        Schedule(minute=0, hour=9, day_of_week="MON-FRI", timezone="Europe/Berlin")
        Schedule.from_cron("0 9 * * MON-FRI", timezone="Europe/Berlin", missed="skip")

    A field that you leave out is `*`. `timezone` is a name such as Europe/Berlin; its default is the setting of that
    name, which is UTC. `missed` decides about ticks while no worker ran: one job for all of them ("once"), none
    ("skip"), or one for each of the last hundred ("all"). With `overlap="skip"` a tick passes while the last job is
    unfinished. `jitter` is the maximum number of seconds between the tick and the start. `arguments` are the job's
    arguments by name. `name` tells several schedules of one class apart.

    Raises ScheduleError, which names the field, the value, and the allowed values.
    """

    expression: str
    timezone: str | None
    missed: str
    overlap: str
    jitter: float
    name: str | None
    arguments: Mapping[str, Any]

    def __init__(
        self,
        *,
        minute: Part | Iterable[Part] = "*",
        hour: Part | Iterable[Part] = "*",
        day_of_month: Part | Iterable[Part] = "*",
        month: Part | Iterable[Part] = "*",
        day_of_week: Part | Iterable[Part] = "*",
        timezone: str | None = None,
        missed: str = "once",
        overlap: str = "allow",
        jitter: float = 0,
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        given = (minute, hour, day_of_month, month, day_of_week)
        texts = [text_of(field, value) for field, value in zip(FIELDS, given, strict=True)]
        self._set(" ".join(texts), timezone, missed, overlap, jitter, name, arguments)

    @classmethod
    def from_cron(
        cls,
        expression: str,
        *,
        timezone: str | None = None,
        missed: str = "once",
        overlap: str = "allow",
        jitter: float = 0,
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> Self:
        """A schedule from the five fields of a crontab, or one of @yearly @monthly @weekly @daily @hourly."""
        self = cls.__new__(cls)
        self._set(expression, timezone, missed, overlap, jitter, name, arguments)
        return self

    def _set(
        self,
        expression: Any,
        timezone: Any,
        missed: Any,
        overlap: Any,
        jitter: Any,
        name: Any,
        arguments: Any,
    ) -> None:
        values = {
            "expression": Cron.checked(expression).expression,
            "timezone": None if timezone is None else checked_timezone(timezone),
            "missed": checked_word("missed", missed, MISSED),
            "overlap": checked_word("overlap", overlap, OVERLAP),
            "jitter": checked_jitter(jitter),
            "name": None if name is None else checked_name(name),
            "arguments": checked_arguments(arguments),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)


def text_of(field: Field, value: Any) -> str:
    """A keyword's value as the text of a field."""
    parts = [value] if isinstance(value, int | str) else value
    if isinstance(value, bool | Mapping) or not isinstance(parts, Iterable):
        raise ScheduleError(f"{field.name} is {value!r}, but must be {field.allowed}.")
    text = ",".join(str(part).strip() for part in parts)
    if not text or re.search(r"\s", text):
        raise ScheduleError(f"{field.name} is {value!r}, but must be {field.allowed}.")
    return text


def checked_timezone(name: Any) -> str:
    if not isinstance(name, str):
        raise ScheduleError(f"timezone is {name!r}, but must be a name like 'Europe/Berlin'.")
    zone_of(name)
    return name


def checked_word(what: str, word: Any, words: Sequence[str]) -> str:
    if word not in words:
        raise ScheduleError(f"{what} is {word!r}, but must be one of: {', '.join(words)}.")
    return str(word)


def checked_jitter(jitter: Any) -> float:
    if isinstance(jitter, timedelta):
        jitter = jitter.total_seconds()
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= MAX_JITTER_SECONDS:
        raise ScheduleError(f"jitter is {jitter!r}, but must be between 0 and {MAX_JITTER_SECONDS} seconds.")
    return float(jitter)


def checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        raise ScheduleError(
            f"name is {name!r}, but must be text of 1 to {MAX_NAME_CHARACTERS} characters without control characters."
        )
    return name


def checked_arguments(arguments: Any) -> dict[str, Any]:
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise ScheduleError(f"arguments is {arguments!r}, but must be arguments by name, as in {{'team': 'ops'}}.")
    return dict(arguments)
