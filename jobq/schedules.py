"""`Schedule`: a job that is due again and again. What its ticks are, in its time zone; pure, given a time.

The calendar's arithmetic is croniter's. What cron itself would refuse is refused here, and what a change of
the clocks means for a tick is decided here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from jobq.errors import ScheduleError

MISSED = ("once", "skip", "all")
OVERLAP = ("allow", "skip")

ON_TIME = timedelta(seconds=60)
"""A tick that is served within so long was not missed: workers look, and databases restart."""

MOST_MISSED = 100
"""So many ticks are served at once with `missed="all"`, the last ones; those before them are passed over."""

MAX_JITTER_SECONDS = 86_400
MAX_NAME_CHARACTERS = 200

SPECIALS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Verdict(StrEnum):
    """What became of a tick."""

    ENQUEUED = "enqueued"  # there is a job for it
    OVERLAPPED = "overlapped"  # the last job was not done, and they may not overlap
    HELD = "held"  # an unfinished job held the unique key
    MISSED = "missed"  # nothing ran at its time, and it was not to be made up for


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields of an expression, and what may stand in it."""

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

Part = int | str
"""What a keyword takes: a number, the text of a field, or several of these."""


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


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name. Raises ScheduleError, which has names that are near."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise unknown_zone(name) from error
    except KeyError:
        raise unknown_zone(name) from None


def unknown_zone(name: str) -> ScheduleError:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    near = get_close_matches(name, available_timezones(), n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Names are like UTC, Europe/Berlin, America/New_York."
    return ScheduleError(f"There is no time zone {name!r} on this machine. {hint}")


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


# Expressions


@dataclass(frozen=True)
class Cron:
    """An expression that was checked. Its ticks by the wall clock: no zone, no day on which the clocks change."""

    expression: str
    fields: tuple[str, str, str, str, str]
    values: tuple[frozenset[int], ...]  # what each field stands for; Sunday is 0

    @classmethod
    def checked(cls, expression: Any) -> "Cron":
        """Raises ScheduleError where cron would not understand the expression, or where it never comes."""
        if not isinstance(expression, str):
            raise ScheduleError(f"The expression is {expression!r}, but must be text like '0 9 * * MON-FRI'.")
        return parse(" ".join(expression.split()))

    @property
    def is_either_day(self) -> bool:
        """Both days are restricted: then a day needs to be only one of them, as in cron."""
        return not self.fields[2].startswith("*") and not self.fields[4].startswith("*")

    @property
    def is_by_interval(self) -> bool:
        """It has no hours of its own: it goes on through a change of the clocks as if nothing had happened."""
        return self.fields[1].startswith("*")

    def after(self, wall: datetime) -> datetime:
        """The first tick after a time of the wall clock. Raises ScheduleError where there is none."""
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
        """The fields as numbers. croniter takes a range over everything for `*`, which among days is not the same."""
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
    """The numbers that a field stands for. Raises ScheduleError."""
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
            raise refused(field, part, expression, f"the step is no number from 1 to {field.most}")
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
        mend = f"{first_text}-{field.most},{field.least}-{last_text}"
        raise refused(field, part, expression, f"the range goes backwards: write {mend}")
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
    """31 February. Fifty years hold every combination of a date and a day of the week."""
    try:
        cron.after(datetime(2000, 1, 1))  # noqa: DTZ001 - of the wall clock
    except ScheduleError:
        raise ScheduleError(
            f"{cron.expression!r} never comes: day_of_month is {cron.fields[2]!r} and month is {cron.fields[3]!r}, but "
            "no such month has such a day."
        ) from None


# Ticks


@dataclass(frozen=True)
class Ticks:
    """The ticks of an expression in a time zone, as instants of UTC.

    A fixed time (its hour does not begin with `*`) that the clocks leave out comes right after the gap, once, and one
    that they show twice comes once, the first time. A schedule by interval comes at every instant at which the clocks
    show one of its times, whether they have shown it before or not.
    """

    cron: Cron
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """The first tick after an instant."""
        moment = moment.astimezone(UTC)
        return self._after_by_interval(moment) if self.cron.is_by_interval else self._after_fixed(moment)

    def upcoming(self, moment: datetime, *, until: datetime | None = None, most: int = 3) -> list[datetime]:
        """The next ticks after an instant: up to `most` of them, and up to `until`."""
        found: list[datetime] = []
        while len(found) < most:
            moment = self.after(moment)
            if until is not None and moment > until:
                break
            found.append(moment)
        return found

    def latest(self, since: datetime, until: datetime, *, most: int) -> list[datetime]:
        """The last ticks from `since` to `until`, both included: up to `most`, oldest first."""
        limit = 10 * most
        span, short, long = timedelta(minutes=most), timedelta(0), None
        while True:
            start = max(since - timedelta(microseconds=1), until - span)
            found = self.upcoming(start, until=until, most=limit)
            if len(found) == limit:  # a year without a tick, then a day with one a minute
                long = span
            elif len(found) >= most or start < since:
                return found[-most:]
            else:
                short = span
            span = 2 * span if long is None else (short + long) / 2

    def _after_fixed(self, moment: datetime) -> datetime:
        """Ticks of the wall clock have their instants in the same order: the first one after `moment` will do."""
        wall = self._wall(moment)
        while True:
            wall = self.cron.after(wall)
            if (instant := self._instant_of(wall)) > moment:
                return instant

    def _instant_of(self, wall: datetime) -> datetime:
        """When the clocks show this for the first time; where they leave it out, when they go forward."""
        early, late = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if self._wall(early) == wall:
            return early
        return self._change_within(late, early)

    def _after_by_interval(self, moment: datetime) -> datetime:
        """From one change of the clocks to the next, with the offset between them."""
        wall, offset = self._wall(moment), self._offset(moment)
        while True:
            candidate = (self.cron.after(wall) - offset).replace(tzinfo=UTC)
            change = self._first_change(moment, candidate)
            if change is None:
                return candidate
            moment, offset = change, self._offset(change)
            wall = self._wall(change) - timedelta(microseconds=1)

    def _first_change(self, after: datetime, until: datetime) -> datetime | None:
        """The first instant after one and up to another at which the clocks change: never twice within hours."""
        while after < until:
            following = min(until, after + timedelta(hours=3))
            if self._offset(following) != self._offset(after):
                return self._change_within(after, following)
            after = following
        return None

    def _change_within(self, before: datetime, after: datetime) -> datetime:
        """The first second that has the offset of `after`: found by halving."""
        offset = self._offset(after)
        low = 0
        high = -((before - after) // timedelta(seconds=1))
        start = after - timedelta(seconds=high)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(start + timedelta(seconds=middle)) == offset:
                high = middle
            else:
                low = middle
        return start + timedelta(seconds=high)

    def _offset(self, moment: datetime) -> timedelta:
        offset = moment.astimezone(self.zone).utcoffset()
        assert offset is not None
        return offset

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=1024)
def ticks_of(expression: str, timezone: str) -> Ticks:
    """The ticks of an expression in a zone. Raises ScheduleError where there are none."""
    return Ticks(Cron.checked(expression), zone_of(timezone))


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done when a tick is due: which ticks get a job, which are passed over, when the next one comes."""

    ticks: tuple[datetime, ...]
    passed: tuple[datetime, ...]  # the last of them, `MOST_MISSED` at most
    next_at: datetime


def settle(ticks: Ticks, *, missed: str, next_at: datetime, now: datetime) -> Due:
    """What to do at `now` about a schedule whose next tick, at `next_at`, is due.

    Where the expression was changed while it waited, the tick that waits may be none of the new one's: it counts.
    """
    following = ticks.after(next_at)
    if following > now:  # nearly always: one tick is due
        due = [next_at]
    else:
        due = ticks.latest(next_at, now, most=MOST_MISSED + 1) or [next_at]
        following = ticks.after(now)
    most = len(due)
    if missed == "all":
        chosen = due[-MOST_MISSED:]
    elif missed == "once" or now - due[-1] <= ON_TIME:
        chosen = due[-1:]
    else:
        chosen = []
    return Due(ticks=tuple(chosen), passed=tuple(due[: most - len(chosen)]), next_at=following)


# Words


def in_words(expression: str) -> str:
    """What an expression means, in English. Raises ScheduleError where it means nothing."""
    cron = Cron.checked(expression)
    times, is_clock_time = times_in_words(cron)
    days = days_in_words(cron)
    if is_clock_time and not days.startswith(" on"):
        return f"every day {times}{days}"
    return f"{times}{days}"


def times_in_words(cron: Cron) -> tuple[str, bool]:
    """The hours and minutes, and whether these are times of the clock."""
    minute, hour = cron.fields[0], cron.fields[1]
    minutes, hours = sorted(cron.values[0]), sorted(cron.values[1])
    clock_times = [f"{h:02}:{m:02}" for h in hours for m in minutes] if len(hours) < 24 else []
    is_short = 0 < len(clock_times) <= 6
    if is_short and not hour.startswith("*"):
        return f"at {listed(clock_times)}", True
    if len(minutes) == 60:
        every = "every minute"
    elif (step := even_step(minute, 60)) is not None:
        every = f"every {step} minutes"
    elif minutes == [0]:
        every = "every hour" if len(hours) == 24 else "on the hour"
    else:
        every = f"at minute {listed(runs_of(minutes))}"
    if len(hours) == 24:
        return (f"{every} of every hour" if every.startswith("at minute") else every), False
    if (step := even_step(hour, 24)) is not None:
        if minutes == [0]:
            return f"every {step} hours", False
        return f"{every} of every {ordinal(step)} hour from 00:00", False
    if is_short:
        return f"at {listed(clock_times)}", False
    return f"{every} from {listed(hour_runs(hours, minutes))}", False


def days_in_words(cron: Cron) -> str:
    """The days and months, beginning with a blank; nothing where it is every day."""
    month = ""
    if len(cron.values[3]) < 12:
        months = sorted(cron.values[3])
        month = listed(named_runs(months, [MONTH_NAMES[value - 1] for value in months]))
    month_days = month_days_in_words(cron, month or "the month")
    weekdays = f"on {listed(weekday_runs(cron.values[4]))}" if len(cron.values[4]) < 7 else ""
    if cron.is_either_day and not (month_days and weekdays):  # one of the two is every day
        month_days = weekdays = ""
    if month_days and weekdays:
        joined = f" or {weekdays}" if cron.is_either_day else f" if it is {weekdays.removeprefix('on ')}"
        return f" {month_days}{joined}" + (f" in {month}" if month and cron.is_either_day else "")
    if month_days:
        return f" {month_days}"
    return (f" {weekdays}" if weekdays else "") + (f" in {month}" if month else "")


def month_days_in_words(cron: Cron, of: str) -> str:
    if len(cron.values[2]) == 31:
        return ""
    if (step := even_step(cron.fields[2], 30)) is not None:
        return f"on every {ordinal(step)} day of {of} from the 1st"
    return f"on day {listed(runs_of(sorted(cron.values[2])))} of {of}"


MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def even_step(text: str, size: int) -> int | None:
    """The step of `*/n`, where the steps from the last to the first are as long as the others."""
    match = re.fullmatch(r"\*/([0-9]+)", text)
    if match is None or int(match[1]) == 1 or size % int(match[1]):
        return None
    return int(match[1])


def ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def consecutive(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending numbers in runs without a gap; a run of two is no run."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [part for run in runs for part in ([run] if len(run) != 2 else [[run[0]], [run[1]]])]


def runs_of(numbers: Sequence[int]) -> list[str]:
    return [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in consecutive(numbers)]


def named_runs(numbers: Sequence[int], names: Sequence[str]) -> list[str]:
    named = dict(zip(numbers, names, strict=True))
    return [named[run[0]] if len(run) == 1 else f"{named[run[0]]} to {named[run[-1]]}" for run in consecutive(numbers)]


def weekday_runs(days: frozenset[int]) -> list[str]:
    """From Monday on; Sunday ends the week."""
    numbers = sorted(day or 7 for day in days)
    return named_runs(numbers, [DAY_NAMES[number % 7] for number in numbers])


def hour_runs(hours: Sequence[int], minutes: Sequence[int]) -> list[str]:
    return [f"{run[0]:02}:{minutes[0]:02} to {run[-1]:02}:{minutes[-1]:02}" for run in consecutive(hours)]
