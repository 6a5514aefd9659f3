"""A cron expression in English."""

import re
from collections.abc import Sequence

from jobq.cron import Cron

MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def in_words(expression: str) -> str:
    """An expression in English. Raises ScheduleError for an invalid one."""
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
    """The days and months, beginning with a blank. Empty for every day."""
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


def even_step(text: str, size: int) -> int | None:
    """The step of `*/n`, if the step from the last value to the first is as long as the others."""
    match = re.fullmatch(r"\*/([0-9]+)", text)
    if match is None or int(match[1]) == 1 or size % int(match[1]):
        return None
    return int(match[1])


def ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def consecutive(numbers: Sequence[int]) -> list[list[int]]:
    """Ascending numbers in runs without a gap. A run of two is split."""
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
