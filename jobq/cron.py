"""A cron expression: what may stand in it, and its ticks by the wall clock.

The calendar's arithmetic is croniter's. What cron itself would refuse is refused here.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from jobq.errors import ScheduleError

SPECIALS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields of an expression, and its allowed values."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()  # of the values from `least` on

    def value_of(self, word: str) -> int | None:
        if re.fullmatch(r"[0-9]{1,4}", word):
            return int(word)
        if word.upper() in self.names:
            return self.names.index(word.upper()) + self.least
        return None

    @property
    def allowed(self) -> str:
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        sunday = " (0 and 7 are Sunday)" if self.name == "day_of_week" else ""
        first = self.least + 1
        return (
            f"{self.least} to {self.most}{named}{sunday}, a range like {first}-{first + 2}, a step like */2 or "
            f"{first}-{first + 4}/2, a list of these with commas, or *"
        )


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day_of_month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day_of_week", 0, 7, DAYS),
)


@dataclass(frozen=True)
class Cron:
    """A checked expression. Its ticks by the wall clock: without zones or changes of the clocks."""

    expression: str
    fields: tuple[str, str, str, str, str]
    values: tuple[frozenset[int], ...]  # the values of each field; Sunday is 0

    @classmethod
    def checked(cls, expression: Any) -> "Cron":
        """Raises ScheduleError if cron would not understand the expression, or if it never comes."""
        if not isinstance(expression, str):
            raise ScheduleError(f"The expression is {expression!r}, but must be text like '0 9 * * MON-FRI'.")
        return parse(" ".join(expression.split()))

    @property
    def is_either_day(self) -> bool:
        """Both days are restricted: then a day needs to match only one of them, as in cron."""
        return not self.fields[2].startswith("*") and not self.fields[4].startswith("*")

    @property
    def is_by_interval(self) -> bool:
        """It has no fixed hours: it continues through a change of the clocks without a break."""
        return self.fields[1].startswith("*")

    def after(self, wall: datetime) -> datetime:
        """The first tick after a time of the wall clock. Raises ScheduleError if there is none."""
        from croniter import croniter

        iterator = croniter(self._for_croniter, wall, day_or=self.is_either_day)
        try:
            found = iterator.get_next(datetime)
        except (ValueError, OverflowError) as error:
            raise ScheduleError(f"{self.expression!r} has no tick after {wall}: {error}.") from None
        assert isinstance(found, datetime)
        return found

    @cached_property
    def _for_croniter(self) -> str:
        """The fields as numbers. croniter treats a full range as `*`, which is not the same for days."""
        texts = list(self.fields)
        every_day = frozenset(range(1, 32)), frozenset(range(7))
        if self.is_either_day and (self.values[2] == every_day[0] or self.values[4] == every_day[1]):
            texts[2] = texts[4] = "*"
        return " ".join(
            text if text == "*" else ",".join(map(str, sorted(values)))
            for text, values in zip(texts, self.values, strict=True)
        )


@lru_cache(maxsize=1024)
def parse(expression: str) -> Cron:
    text = SPECIALS.get(expression.lower(), expression)
    if text.startswith("@"):
        raise ScheduleError(
            f"There is no {text.split()[0]!r}: the words are {' '.join(SPECIALS)}."
            + (" A job at the start of a worker is no schedule." if text.lower() == "@reboot" else "")
        )
    fields = text.split(" ")
    if len(fields) != len(FIELDS) or not text:
        raise ScheduleError(
            f"{expression!r} has {len(fields) if text else 0} fields, but must have five: "
            "minute hour day_of_month month day_of_week."
        )
    values = tuple(values_of(field, text, expression) for field, text in zip(FIELDS, fields, strict=True))
    cron = Cron(expression, (fields[0], fields[1], fields[2], fields[3], fields[4]), values)
    refuse_if_it_never_comes(cron)
    return cron


def values_of(field: Field, text: str, expression: str) -> frozenset[int]:
    """The numbers of a field. Raises ScheduleError."""
    found: set[int] = set()
    for part in text.split(","):
        found.update(values_of_part(field, part, expression))
    return frozenset(value % 7 for value in found) if field.name == "day_of_week" else frozenset(found)


def values_of_part(field: Field, part: str, expression: str) -> range:
    span, slash, step_text = part.partition("/")
    step = 1
    if slash:
        step = int(step_text) if re.fullmatch(r"[0-9]{1,4}", step_text) else 0
        if not 1 <= step <= field.most:
            raise refused(field, part, expression, f"the step is not a number from 1 to {field.most}")
    if span == "*":
        return range(field.least, (6 if field.name == "day_of_week" else field.most) + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = number_in(field, first_text, part, expression)
    if not dash:
        if slash:
            raise refused(field, part, expression, f"a step needs a range: write {first_text}-{field.most}/{step}")
        return range(first, first + 1)
    last = number_in(field, last_text, part, expression)
    if last == 0 and field.name == "day_of_week" and first > 0:
        last = 7  # FRI-SUN: a week may end with its Sunday
    if last < first:
        turned = f"{first_text}-{field.most},{field.least}-{last_text}"
        raise refused(field, part, expression, f"the range goes backwards: write {turned}")
    return range(first, last + 1, step)


def number_in(field: Field, word: str, part: str, expression: str) -> int:
    value = field.value_of(word)
    if value is None:
        raise refused(field, part, expression, "")
    if not field.least <= value <= field.most:
        raise refused(field, part, expression, f"{word} is not within {field.least} to {field.most}")
    return value


def refused(field: Field, part: str, expression: str, trouble: str) -> ScheduleError:
    detail = f" ({trouble})" if trouble else ""
    return ScheduleError(f"{expression!r}: {field.name} is {part!r}{detail}, but must be {field.allowed}.")


def refuse_if_it_never_comes(cron: Cron) -> None:
    """A date like 31 February. Fifty years hold every combination of a date and a day of the week."""
    try:
        cron.after(datetime(2000, 1, 1))  # noqa: DTZ001 - of the wall clock
    except ScheduleError:
        raise ScheduleError(
            f"{cron.expression!r} never comes: day_of_month is {cron.fields[2]!r} and month is {cron.fields[3]!r}, but "
            "no such month has such a day."
        ) from None
