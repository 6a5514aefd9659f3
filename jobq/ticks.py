"""The ticks of a schedule in its time zone, and what to do when one is due. Pure, given a time.

What a change of the clocks means for a tick is decided here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from jobq.cron import Cron
from jobq.errors import ScheduleError

ON_TIME = timedelta(seconds=60)
"""A tick served within this many seconds was not missed: workers take time to look, and databases restart."""

MOST_MISSED = 100
"""Maximum number of ticks that are served at once with `missed="all"`: the last ones. Earlier ones are passed over."""


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name. Raises ScheduleError, which lists similar names."""
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


@dataclass(frozen=True)
class Ticks:
    """The ticks of an expression in a time zone, as instants of UTC.

    A fixed time (its hour does not begin with `*`) that the clocks skip comes right after the gap, once, and one that
    they show twice comes once, the first time. A schedule by interval comes at every instant at which the clocks show
    one of its times, whether they have shown it before or not.
    """

    cron: Cron
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """The first tick after an instant."""
        moment = moment.astimezone(UTC)
        return self._after_by_interval(moment) if self.cron.is_by_interval else self._after_fixed(moment)

    def upcoming(self, moment: datetime, *, until: datetime | None = None, most: int = 3) -> list[datetime]:
        """The next ticks after an instant: at most `most`, and not after `until`."""
        found: list[datetime] = []
        while len(found) < most:
            moment = self.after(moment)
            if until is not None and moment > until:
                break
            found.append(moment)
        return found

    def latest(self, since: datetime, until: datetime, *, most: int) -> list[datetime]:
        """The last ticks from `since` to `until`, both included: at most `most`, oldest first."""
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
        """Ticks of the wall clock have their instants in the same order: the first one after `moment` is the right
        one."""
        wall = self._wall(moment)
        while True:
            wall = self.cron.after(wall)
            if (instant := self._instant_of(wall)) > moment:
                return instant

    def _instant_of(self, wall: datetime) -> datetime:
        """When the clocks first show this time. If they skip it: when they go forward."""
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
        """The first second with the offset of `after`, found by bisection."""
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
    """The ticks of an expression in a zone. Raises ScheduleError for an invalid one."""
    return Ticks(Cron.checked(expression), zone_of(timezone))


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about a due tick: which ticks get a job, which are passed over, and when the next one comes."""

    ticks: tuple[datetime, ...]
    passed: tuple[datetime, ...]  # the last of them, at most `MOST_MISSED`
    next_at: datetime


def settle(ticks: Ticks, *, missed: str, next_at: datetime, now: datetime) -> Due:
    """What to do at `now` about a schedule whose next tick, at `next_at`, is due.

    If the expression changed while it waited, the waiting tick may not be one of the new expression: it still counts.
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
