"""Holds the ticks of schedules, minute by minute over years, against an independent calculation.

    python -m tests.faults.ticks [--years 10] [--from 2020] [--zone Europe/Berlin]…

The other calculation knows nothing of croniter, of changes of the clocks, or of jobq's own parsing: it walks through
every minute of the years, asks what the clocks of the zone show, and applies cron's rules to that. Whatever the clocks
have not shown before is new; whatever they jumped over was left out.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import cached_property
from zoneinfo import ZoneInfo

from jobq.ticks import ticks_of

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
"""Clocks that change by an hour in the night, by an hour at two, and by half an hour."""

EXPRESSIONS = (
    "30 2 * * *",
    "0 3 * * *",
    "*/15 1-3 * * *",
    "0,30 1,2,3 * * *",
    "15 2 1,15 * MON",
    "59 1 * * SUN",
    "0 0 */3 * 1-5",
    "45 1 25-31 3,10 7",
    "7 * * * *",
    "*/20 * * * *",
    "10 */2 * * *",
    "*/15 * * MAR,OCT SUN",
)

MINUTE = timedelta(minutes=1)
NAMES = {
    3: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    4: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True)
class Rule:
    """Cron's own rules, as its manual has them."""

    text: str
    days: dict[date, bool] = field(default_factory=dict, compare=False)

    @cached_property
    def parts(self) -> list[str]:
        return self.text.split()

    @cached_property
    def sets(self) -> list[set[int]]:
        return [self._set(place) for place in range(5)]

    def _set(self, place: int) -> set[int]:
        least, most = RANGES[place]
        found: set[int] = set()
        for part in self.parts[place].split(","):
            span, _, step = part.partition("/")
            low, high = least, most
            if span != "*":
                ends = [self._number(place, word) for word in span.split("-")]
                low, high = ends[0], ends[-1]
            found |= set(range(low, high + 1, int(step or 1)))
        return {value % 7 for value in found} if place == 4 else found

    def _number(self, place: int, word: str) -> int:
        return int(word) if word.isdigit() else NAMES[place].index(word) + (1 if place == 3 else 0)

    def is_day(self, day: date) -> bool:
        """Either day will do where both are restricted; a field that begins with a star is not."""
        if day not in self.days:
            by_month = day.day in self.sets[2]
            by_week = day.isoweekday() % 7 in self.sets[4]
            is_either = not self.parts[2].startswith("*") and not self.parts[4].startswith("*")
            fits = by_month or by_week if is_either else by_month and by_week
            self.days[day] = fits and day.month in self.sets[3]
        return self.days[day]

    def matches(self, wall: datetime) -> bool:
        return wall.minute in self.sets[0] and wall.hour in self.sets[1] and self.is_day(wall.date())

    def walls(self, start: datetime, most: int) -> list[datetime]:
        """The first matches of a clock that never changes, after a time."""
        found: list[datetime] = []
        day = start.date()
        while len(found) < most:
            if self.is_day(day):
                found += [
                    wall
                    for hour in sorted(self.sets[1])
                    for minute in sorted(self.sets[0])
                    if (wall := datetime.combine(day, clock(hour, minute))) > start
                ]
            day += timedelta(days=1)
        return found[:most]


def expected(rules: list[Rule], zone: ZoneInfo, start: datetime, end: datetime) -> dict[Rule, list[datetime]]:
    """The ticks after `start` up to `end`, by walking through every minute."""
    found: dict[Rule, list[datetime]] = {rule: [] for rule in rules}
    # A day's run-up, so that what the clocks have shown before is known.
    instant = start - timedelta(days=1)
    latest = (instant - MINUTE).astimezone(zone).replace(tzinfo=None)
    while instant <= end:
        wall = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        is_new = wall > latest
        left_out = list(walls_between(latest, wall)) if is_new else []
        if instant > start:
            for rule in rules:
                if rule.parts[1].startswith("*"):
                    is_tick = rule.matches(wall)
                else:
                    is_tick = is_new and (rule.matches(wall) or any(map(rule.matches, left_out)))
                if is_tick:
                    found[rule].append(instant)
        latest = max(latest, wall)
        instant += MINUTE
    return found


def walls_between(before: datetime, after: datetime) -> Iterator[datetime]:
    wall = before + MINUTE
    while wall < after:
        yield wall
        wall += MINUTE


def calculated(rule: Rule, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The ticks after `start` up to `end`, as jobq has them."""
    return ticks_of(rule.text, zone).upcoming(start, until=end, most=sys.maxsize)


def difference(rule: Rule, zone: str, ours: list[datetime], theirs: list[datetime]) -> str | None:
    """The first tick that only one of them has, in words."""
    if ours == theirs:
        return None
    only = min(set(ours) ^ set(theirs), default=None)
    if only is None:
        return f"{rule.text} in {zone}: a tick comes twice, or out of order"
    side = "jobq" if only in set(ours) else "the walk"
    return f"{rule.text} in {zone}: only {side} has {only.isoformat()} ({only.astimezone(ZoneInfo(zone)).isoformat()})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--from", dest="first", type=int, default=2020)
    parser.add_argument("--zone", action="append", choices=ZONES, help="default: all three")
    chosen = parser.parse_args()
    start = datetime(chosen.first, 1, 1, tzinfo=UTC)
    end = datetime(chosen.first + chosen.years, 1, 1, tzinfo=UTC)
    rules = [Rule(text) for text in EXPRESSIONS]
    problems = []
    for zone in chosen.zone or ZONES:
        began = time.monotonic()
        theirs = expected(rules, ZoneInfo(zone), start, end)
        for rule in rules:
            ours = calculated(rule, zone, start, end)
            problems += [problem] if (problem := difference(rule, zone, ours, theirs[rule])) else []
        ticks = sum(map(len, theirs.values()))
        print(f"{zone}: {ticks:,} ticks of {len(rules)} expressions, {time.monotonic() - began:.0f} s", flush=True)
    for problem in problems:
        print(f"WRONG: {problem}")
    print("every tick is where the walk has it" if not problems else f"{len(problems)} expressions differ")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
