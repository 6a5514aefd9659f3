"""Which database this console looks at, and whether it may change anything there.

Never with --read-only, on production only for a while after `:write`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

WRITE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Target:
    """Which database the console is looking at, and what it may do there."""

    name: str
    schema: str
    env: str
    is_read_only: bool

    @property
    def is_production(self) -> bool:
        return self.env == "production"


class Access:
    """One console's, asked by its screens, and once more by the source before anything is changed."""

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
        """For how long changes are allowed still, where that is limited."""
        return max(0.0, self._until - self._clock())

    @property
    def is_limited(self) -> bool:
        """It can be opened, for a time."""
        return self._target.is_production and not self._target.is_read_only

    def why_not(self) -> str | None:
        """Why nothing may be changed now; None where it may."""
        if self._target.is_read_only:
            return "this console is read-only (--read-only)"
        if self.is_limited and not self.seconds:
            return "production is read-only until :write"
        return None

    def left(self) -> str:
        """What is left of the time, in a word."""
        return f"{math.ceil(self.seconds / 60)}m" if self.seconds > 60 else f"{math.ceil(self.seconds)}s"
