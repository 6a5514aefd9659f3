"""What the console knows: the last look at the database, its age, and earlier looks. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from jobq.errors import JobqError

from .replay import Replay
from .samples import Samples
from .source import Snapshot
from .troubles import Trouble, troubles


@dataclass(frozen=True, slots=True)
class Loss:
    """The database could not be read: the reason, and the number of attempts."""

    error: JobqError
    tries: int


class State:
    """Only the console changes it, by `looked` and `lose`. The screens read it."""

    def __init__(self, clock: Callable[[], float] = monotonic, replay: Replay | None = None) -> None:
        self.replay = replay  # None: the source is a database, not a recording
        self.snapshot: Snapshot | None = None
        self.lost: Loss | None = None  # None: the last look succeeded
        self.is_frozen = False
        self.samples = Samples()
        self.troubles: tuple[Trouble, ...] = ()
        self._clock = clock
        self._looked_at = 0.0

    def looked(self, snapshot: Snapshot, period: str) -> None:
        """`period` is the one of its figures, in the notation of filters."""
        if self.replay is not None and self.snapshot is not None and snapshot.at < self.snapshot.at:
            self.samples = Samples()  # the recording went back: no comparison with later looks
        self.snapshot = snapshot
        self._looked_at = self._clock()
        self.lost = None
        self.samples.add(snapshot.stats)
        self.troubles = troubles(snapshot, self.samples, period)

    def lose(self, error: JobqError, tries: int) -> None:
        self.lost = Loss(error, tries)

    @property
    def now(self) -> datetime:
        """The database's clock, advanced since the last look. While frozen: the time of the last look."""
        if self.snapshot is None:
            return datetime.now(UTC)
        if self.is_frozen:
            return self.snapshot.at
        return self.snapshot.at + timedelta(seconds=self.age)

    @property
    def age(self) -> float:
        """Seconds since the last look."""
        if self.replay is not None:
            return self.replay.age
        return max(0.0, self._clock() - self._looked_at)

    @property
    def undo_off(self) -> str | None:
        """Why there is nothing to undo, as far as is known. None if there is."""
        return self.snapshot.undo_off if self.snapshot is not None else None

    def forbidden(self, verb: str) -> str | None:
        """Why the database's role may not do that, as far as is known. None if it may."""
        return self.snapshot.forbidden.get(verb) if self.snapshot is not None else None
