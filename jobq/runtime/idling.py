"""How a claimer sleeps: when it looks again by itself, and whether it wants notifications meanwhile."""

from collections.abc import Callable
from time import monotonic

from jobq.runtime.ownership import Ownership
from jobq.runtime.service import jittered
from jobq.runtime.waiting import Waiting
from jobq.store.callers.steps import Steps

IDLE_LOOKS_SECONDS = (0.02, 0.1, 0.5)
"""Seconds between the first looks after the queues became empty, before the slow poll: an enqueuer that saw this worker
busy did not notify it, and may have committed just after its last look."""

BUSY_SECONDS = 0.5
"""After being busy for this long, a worker tells enqueuers that they need not notify it."""


class Idling:
    """`may_sleep` tells whether notifications would arrive."""

    def __init__(
        self, ownership: Ownership, waiting: Waiting, *, may_sleep: Callable[[], bool], poll_every: float
    ) -> None:
        self._ownership = ownership
        self._waiting = waiting
        self._may_sleep = may_sleep
        self._poll_every = poll_every
        self._looks = 0
        self._said: tuple[int, bool] | None = None
        self._at = 0.0
        self.asleep_until: float | None = None
        """It has found nothing and relies on notifications; until they come it does not look. None: awake."""

    @property
    def says_waiting(self) -> bool:
        return self._said == (self._ownership.worker_id, True)

    @property
    def has_settled(self) -> bool:
        """Whether it has slowed down its looks."""
        return self._looks > len(IDLE_LOOKS_SECONDS)

    def is_asleep(self, now: float) -> bool:
        return self.asleep_until is not None and now < self.asleep_until

    def rouse(self) -> None:
        self.asleep_until = None

    def on_connected(self) -> None:
        self._said = None
        self.rouse()

    def found_something(self) -> None:
        self._looks = 0

    def pause(self) -> None:
        """Nothing waits for a look."""
        self._at = monotonic()

    def rest(self) -> Steps[float | None]:
        """There is no room: nothing to do until woken, except to tell enqueuers after a while not to notify."""
        if not self.says_waiting or (yield from self.say_if_long_busy(monotonic())):
            return None
        return BUSY_SECONDS

    def say_if_long_busy(self, now: float) -> Steps[bool]:
        """After a while without a pause, enqueuers need not notify: this worker looks again by itself."""
        if not self.says_waiting or now - self._at <= BUSY_SECONDS:
            return False
        self.rouse()
        yield from self._say(waiting=False)
        return True

    def sleep(self) -> Steps[float]:
        """Nothing is pending: the seconds until the next look.

        After writing that it waits, the worker looks once more before it concludes that there is nothing: enqueuers
        before that did not notify it.
        """
        self.pause()
        if self._may_sleep() and not self.says_waiting:
            yield from self._say(waiting=True)
            self._looks = 0
            return 0.0
        self._looks += 1
        wait = jittered(self._poll_every)
        if not self.has_settled:
            wait = min(wait, jittered(IDLE_LOOKS_SECONDS[self._looks - 1]))
        return wait

    def _say(self, *, waiting: bool) -> Steps[None]:
        worker_id = self._ownership.worker_id
        yield from self._waiting.say(self, waiting=waiting)
        self._said = (worker_id, waiting)
