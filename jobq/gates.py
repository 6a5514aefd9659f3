"""Gates: how many jobs of some classes run at once, how fast they start, and whose turn it is, over the whole fleet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from jobq import arguments
from jobq.errors import EnqueueError
from jobq.options import checked_choice, checked_span, shortened

MAX_NAME_CHARACTERS = 100
MAX_LANE_CHARACTERS = 250
MAX_RUNNING = 2_147_483_647

Order = Literal["turns", "strict"]
AfterLoss = Literal["free", "wait"]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` attempts start in any `per` seconds, by the database's clock, and at most `burst` at once.

        Rate(100, per=60)             # one every 0.6 seconds
        Rate(100, per=60, burst=20)   # up to 20 at once, and still no more than 100 in any 60 seconds

    The wait between two starts is `per / (starts - burst + 1)`: a larger burst makes the steady rate lower. An attempt
    uses up its start however it ends. Raises EnqueueError.
    """

    starts: int
    per: float | timedelta = 1.0
    burst: int = 1

    def __post_init__(self) -> None:
        if not is_whole(self.starts) or not 1 <= self.starts <= MAX_RUNNING:
            raise EnqueueError(f"Rate: starts is {shortened(self.starts)}, but must be a whole number, 1 or more.")
        if checked_span("Rate: per", self.per) is None:
            raise EnqueueError("Rate: per is None, but must be seconds or a timedelta.")
        if not is_whole(self.burst) or not 1 <= self.burst <= self.starts:
            raise EnqueueError(
                f"Rate: burst is {shortened(self.burst)}, but must be a whole number from 1 to starts ({self.starts})."
            )

    @property
    def seconds(self) -> float:
        """The length of the window."""
        return self.per.total_seconds() if isinstance(self.per, timedelta) else float(self.per)


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits for the attempts of one or several classes, over all workers: `gate = Gate("crm", limit=20)` in a class.

        crm = Gate("crm", limit=20, rate=Rate(100, per=60), by="customer", lane_limit=2)

        @register_job
        class CallCrm(Job):
            gate = crm

    `limit`: at most this many attempts run at once. `rate`: at most this many start in a span of time.

    `by` names a parameter of the jobs. Jobs with the same value of it form a lane; `Job.get_lane()` computes the lane
    instead. Lanes take turns: a lane with many jobs does not hold up a lane with few. `lane_limit` and `lane_rate` hold
    for each lane. A gate with `by` alone limits nothing, and lets lanes take turns.

    `order="strict"`: each lane is a sequence. Its next job begins when the one before has ended for good, retries
    included. All classes of such a gate have the same priority.

    `after_loss="wait"`: an attempt whose worker was declared dead keeps its place for another `cancel_grace` seconds.
    By then that worker has ended its processes, if it still runs. The default, "free", frees the place at once.

    The declaration of the youngest worker holds for all workers. `jobq gates limit` stands above it.
    Raises EnqueueError.
    """

    name: str
    limit: int | None = None
    rate: Rate | None = None
    by: str | None = None
    lane_limit: int | None = None
    lane_rate: Rate | None = None
    order: Order = "turns"
    after_loss: AfterLoss = "free"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise EnqueueError(f"Gate: name is {shortened(self.name)}, but must be text without control characters.")
        if len(self.name) > MAX_NAME_CHARACTERS:
            raise EnqueueError(f"Gate: name has {len(self.name)} characters; {MAX_NAME_CHARACTERS} are allowed.")
        where = f"Gate {self.name!r}"
        for option in ("limit", "lane_limit"):
            value = getattr(self, option)
            if value is not None and (not is_whole(value) or not 1 <= value <= MAX_RUNNING):
                raise EnqueueError(f"{where}: {option} is {shortened(value)}, but must be a whole number, 1 or more.")
        for option in ("rate", "lane_rate"):
            value = getattr(self, option)
            if value is not None and not isinstance(value, Rate):
                raise EnqueueError(f"{where}: {option} is {shortened(value)}, but must be a Rate: Rate(100, per=60).")
        if self.by is not None and (not isinstance(self.by, str) or not self.by.isidentifier()):
            raise EnqueueError(f"{where}: by is {shortened(self.by)}, but must be the name of a parameter of the jobs.")
        checked_choice(f"{where}: order", self.order, ("turns", "strict"))
        checked_choice(f"{where}: after_loss", self.after_loss, ("free", "wait"))
        if self.order == "strict" and self.lane_limit not in (None, 1):
            raise EnqueueError(f"{where}: order='strict' runs one job of a lane at a time. Leave lane_limit out.")

    @property
    def is_strict(self) -> bool:
        return self.order == "strict"

    def declaration(self) -> dict[str, Any]:
        """What workers report of it, as JSON."""
        return {
            "name": self.name,
            "limit": self.limit,
            "rate": rate_as_json(self.rate),
            "by": self.by,
            "lane_limit": 1 if self.is_strict else self.lane_limit,
            "lane_rate": rate_as_json(self.lane_rate),
            "is_strict": self.is_strict,
            "waits_after_loss": self.after_loss == "wait",
        }

    def lane_of(self, bound: Mapping[str, Any]) -> str:
        """The lane of a job with these constructor arguments. Raises EnqueueError."""
        if self.by is None:
            return ""
        value = bound.get(self.by)
        return checked_lane(value) if isinstance(value, str) else checked_lane(lane_text(self.by, value))


def lane_text(name: str, value: Any) -> str:
    """A lane's name by an argument, as the function lane_of() of the database has it."""
    if value is None:
        return ""
    stored = json.loads(arguments.encode_value(value))
    if isinstance(stored, dict):
        stored = stored.get("v")
    if isinstance(stored, bool):
        return str(stored).lower()
    if not isinstance(stored, str | int | float):
        raise EnqueueError(
            f"{name} is {shortened(value)}, which names no lane. Define get_lane() in the class: it returns text."
        )
    return str(stored)


def checked_lane(lane: Any) -> str:
    if lane is None:
        return ""
    if not isinstance(lane, str) or (lane and not lane.isprintable()):
        raise EnqueueError(f"lane is {shortened(lane)}, but must be text without control characters.")
    if len(lane) > MAX_LANE_CHARACTERS:
        raise EnqueueError(
            f"lane has {len(lane):,} characters, beginning {shortened(lane)}; {MAX_LANE_CHARACTERS} are allowed. "
            "Use a hash of it."
        )
    return lane


def rate_as_json(rate: Rate | None) -> dict[str, Any] | None:
    return None if rate is None else {"starts": rate.starts, "seconds": rate.seconds, "burst": rate.burst}


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
