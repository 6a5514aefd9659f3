"""Events for the main loop from other threads and from signals: typed, in one queue, in order of arrival."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from jobq.records import Assignment
from jobq.runtime.stop_signals import STOPS
from jobq.store.control import CancelRequest, StackRequest
from jobq.store.logs import Follow


@dataclass(frozen=True, slots=True)
class Signalled:
    """This process got a signal that stops a worker."""

    number: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """An operator asked this worker to stop."""

    requested_by: str


@dataclass(frozen=True, slots=True)
class DeclaredDead:
    """Another worker declared this one dead."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Registered:
    """This worker was declared dead and has registered anew."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class CancelsRequested:
    """Operators want jobs of this worker to end."""

    requests: Sequence[CancelRequest]


@dataclass(frozen=True, slots=True)
class StacksRequested:
    """Operators ask what jobs of this worker are doing."""

    questions: Sequence[StackRequest]


@dataclass(frozen=True, slots=True)
class FollowsHeard:
    """Somebody follows the lines of jobs; none: nobody does any more."""

    follows: Sequence[Follow]


@dataclass(frozen=True, slots=True)
class HooksTaken:
    """This worker shall call on_aborted() of jobs."""

    hooks: list[Assignment]


@dataclass(frozen=True, slots=True)
class QueuesPaused:
    """An operator paused queues."""


@dataclass(frozen=True, slots=True)
class CodeChanged:
    """Files of the application changed."""

    names: Sequence[str]


Event = (
    Signalled
    | StopRequested
    | DeclaredDead
    | Registered
    | CancelsRequested
    | StacksRequested
    | FollowsHeard
    | HooksTaken
    | QueuesPaused
    | CodeChanged
)


class Events:
    """The queue, and the pipe that wakes the main loop from its wait."""

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._wake_in, self._wake_out = os.pipe()
        for fd in (self._wake_in, self._wake_out):
            os.set_blocking(fd, False)

    def fileno(self) -> int:
        """Readable after a wake-up of the main loop."""
        return self._wake_in

    def put(self, event: Event) -> None:
        """May be called from any thread, and from a signal handler."""
        self._queue.append(event)
        self.wake()

    def take(self) -> Iterator[Event]:
        """The events that have arrived until now."""
        for _ in range(len(self._queue)):
            if self._queue:
                yield self._queue.popleft()

    def drop(self, kind: type[Event]) -> None:
        """Drops all waiting events of a kind."""
        for _ in range(len(self._queue)):
            if not isinstance(event := self._queue.popleft(), kind):
                self._queue.append(event)

    def __bool__(self) -> bool:
        """Whether an event waits."""
        return bool(self._queue)

    def wake(self) -> None:
        """Ends the wait of the main loop."""
        try:
            os.write(self._wake_out, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already
        except OSError:
            return  # the main loop has ended; a remaining thread has nobody to wake

    def clear_wake_ups(self) -> None:
        try:
            os.read(self._wake_in, 1 << 16)
        except BlockingIOError:
            return

    def close(self) -> None:
        for fd in (self._wake_in, self._wake_out):
            os.close(fd)

    def catch_signals(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # some parents ignore it: then no death would be reported
        for number in STOPS:
            # A signal may be ignored on purpose, as nohup does. SIGINT and SIGTERM are always handled.
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.put(Signalled(number))
