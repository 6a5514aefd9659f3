"""Which lines somebody follows at this moment. Pure: whoever follows has a row, and workers hear of it by looking."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jobq.runtime.line_ring import RingLine
from jobq.store.logs import Follow

BEFORE_SECONDS = 1.0
"""Lines that were said so shortly before a worker heard of the follower are sent, too."""


@dataclass(slots=True)
class Followed:
    """A follower, as this worker heard of it."""

    follow: Follow
    since: float  # by this machine's monotonic clock
    until: float

    def wants(self, line: RingLine) -> bool:
        """Of a job that is followed by its id, all lines that are still there."""
        follow = self.follow
        if follow.job_id is not None:
            return line.job_id == follow.job_id
        if line.level < follow.level or line.started + line.milliseconds / 1000 < self.since - BEFORE_SECONDS:
            return False
        return is_one_of(line.job_class, follow.classes) and is_one_of(line.queue, follow.queues)


class Follows:
    """Those that this worker knows of."""

    def __init__(self) -> None:
        self._by_id: dict[int, Followed] = {}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def heard(self, follows: Iterable[Follow], now: float) -> None:
        """These are there now, and no others."""
        before, self._by_id = self._by_id, {}
        for follow in follows:
            known = before.get(follow.id)
            since = now if known is None else known.since
            self._by_id[follow.id] = Followed(follow, since, now + follow.seconds_left)

    def forget_expired(self, now: float) -> None:
        """A follower that has gone without a word costs nothing from then on, also where the database is away."""
        self._by_id = {number: one for number, one in self._by_id.items() if one.until > now}

    def want(self, line: RingLine) -> bool:
        return any(followed.wants(line) for followed in self._by_id.values())


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    """No patterns: any name is. In a pattern only `*` has a meaning."""
    return not patterns or any(fnmatchcase(name, literal(pattern)) for pattern in patterns)


def literal(pattern: str) -> str:
    return pattern.replace("[", "[[]").replace("?", "[?]")
