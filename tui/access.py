"""Which database this console looks at, and whether it may change anything there.

With --read-only it may not. On production it may only for a while after `:write`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

WRITE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Target:
    """The database that the console looks at, and what the console may do there."""

    name: str
    schema: str
    env: str
    is_read_only: bool

    @property
    def is_production(self) -> bool:
        return self.env == "production"


class Access:
    """Each console has one. Its screens ask it, and the source asks it once more before it changes anything."""

    def __init__(self, target: Target, clock: Callable[[], float] = monotonic) -> None:
        self._target = target
        self._clock = clock
        self._until = -math.inf

    def open(self) -> None:
        """Allows changes on production, for `WRITE_SECONDS` from now."""
        self._until = self._clock() + WRITE_SECONDS

    def close(self) -> None:
        self._until = -math.inf

    @property
    def seconds(self) -> float:
        """How long changes are still allowed, where that is limited."""
        return max(0.0, self._until - self._clock())

    @property
    def is_limited(self) -> bool:
        """Whether changes can be allowed for a time."""
        return self._target.is_production and not self._target.is_read_only

    def why_not(self) -> str | None:
        """Why nothing may be changed now. None if changes are allowed."""
        if self._target.is_read_only:
            return "this console is read-only (--read-only)"
        if self.is_limited and not self.seconds:
            return "production is read-only until :write"
        return None

    def left(self) -> str:
        """The time that is left, as a word."""
        return f"{math.ceil(self.seconds / 60)}m" if self.seconds > 60 else f"{math.ceil(self.seconds)}s"
