"""Database work of the main loop: it sends statements on its own connections, and never waits for an answer.

The `tick` of an exchange is one round of work, as steps: each yields a statement, and gets its rows when they have
arrived. Meanwhile the main loop continues, so a slow answer delays only its own exchange. A thread opens connections,
since that looks up names and may start programs. Rare or slow work is a `Service`, in a thread of its own. Both report
trouble in the same words.
"""

import logging
import selectors
import threading
from collections.abc import Callable
from time import monotonic

from jobq import telemetry
from jobq.runtime.ear import Ear
from jobq.runtime.locks import AGAIN_SECONDS, Locks
from jobq.runtime.service import LOCK_SECONDS, MAX_BACKOFF_SECONDS, jittered, sooner
from jobq.runtime.ticking import Ticking
from jobq.runtime.trouble import Trouble
from jobq.store.callers.steps import Rows, Steps
from jobq.store.database import Connection, Database
from jobq.store.jobs import is_lock_timeout
from jobq.store.line import Line

log = logging.getLogger("jobq.worker")


class Exchange:
    """Turned by the main loop. Everything here is called in its thread, except `wake_loop`.

    `wake_loop` makes the main loop turn, from any thread.
    """

    name = "exchange"
    is_over = False
    """It has nothing more to do: its connection is closed after this tick."""

    def __init__(self, database: Database, selector: selectors.BaseSelector, wake_loop: Callable[[], None]) -> None:
        self.database = database
        self.is_connected = False
        self._wake_loop = wake_loop
        self._ear = Ear(selector, self)
        self._trouble = Trouble(self.name, database)
        self._locks = Locks(self.name, database, LOCK_SECONDS)
        self.ticking = Ticking(self.name)
        self._line: Line | None = None
        self._connecting: Connecting | None = None
        self._steps: Steps[float | None] | None = None  # the current steps
        self._turn_at: float | None = 0.0  # when the next tick begins; None: when woken
        self._is_woken = False

    # Overridden by each exchange

    def tick(self) -> Steps[float | None]:
        """One round of work. Returns the seconds until the next one; None: when woken."""
        raise NotImplementedError

    def on_connected(self) -> Steps[None]:
        """The first steps on each new connection."""
        yield from ()

    def on_notified(self, channel: str, text: str) -> None:
        """A notification has arrived."""

    def on_heard(self) -> None:
        """All arrived data was read."""

    # Called by the main loop

    def wake(self) -> None:
        """There is work to do."""
        self._is_woken = True

    def seconds_to_turn(self) -> float | None:
        """When `turn` has work to do. None: not before data arrives."""
        at = self._ear.closed_until
        if at is None and self._steps is None and self._connecting is None and not self.is_over:
            at = 0.0 if self._is_woken and self._line is not None else self._turn_at
        return None if at is None else max(0.0, at - monotonic())

    @property
    def is_asking(self) -> bool:
        """Whether an answer is outstanding."""
        return self._steps is not None

    def look_after(self) -> None:
        """Reports a long wait for an answer. The wait continues."""
        self.ticking.look_after()

    def turn(self) -> None:
        """Starts what is due."""
        if self._connecting is not None and self._connecting.is_done:
            self._take_connection(self._connecting)
        if self.seconds_to_turn() != 0.0:
            return
        if self._line is None:
            self._connecting = Connecting(self.database, self.name, self._wake_loop)
        elif self._steps is None:
            self._begin()
        else:  # it is time to listen again
            self._ear.listen(self._line)

    def hear(self) -> None:
        """Data has arrived on the connection."""
        if self._line is None:  # it was dropped in this same turn
            return
        try:
            self._line.hear()
            if self._steps is not None and self._line.is_answered:
                self._send(self._line.rows())
        except Exception as error:  # noqa: BLE001 - the edge around one tick
            self._fail(error)
        self.on_heard()

    def hear_nothing(self, seconds: float) -> None:
        """Leaves arriving data unread for a while."""
        if self._line is not None:
            self._ear.close_for(self._line, seconds)

    def stop(self) -> None:
        """Ends it, whatever it is doing."""
        self.is_over = True
        self._disconnect()
        if self._connecting is not None:
            self._connecting.give_up()

    # Its steps

    def _begin(self) -> None:
        self._is_woken, self._turn_at = False, None
        self.ticking.began()
        self._steps = self._work()
        try:
            self._send(None)
        except Exception as error:  # noqa: BLE001 - the edge around one tick
            self._fail(error)

    def _work(self) -> Steps[float | None]:
        if not self.is_connected:
            yield from self.on_connected()
            self.is_connected = True
        return (yield from self.tick())

    def _send(self, rows: Rows | None) -> None:
        """The next step, with the rows of the last one. None: the first step."""
        assert self._steps is not None
        assert self._line is not None
        try:
            statement, parameters = next(self._steps) if rows is None else self._steps.send(rows)
            assert isinstance(parameters, dict)
            self._line.ask(statement, parameters)
        except StopIteration as end:
            self._end(end.value)
        if self._line is not None:
            self._ear.listen(self._line)

    def _end(self, wait: float | None) -> None:
        self._steps = None
        self.ticking.ended()
        self._trouble.worked()
        wait = sooner(wait, self._trouble.seconds_to_look())
        self._turn_at = None if wait is None else monotonic() + wait
        if self.is_over:
            self.stop()

    def _fail(self, error: Exception) -> None:
        """New work does not shorten the wait: it would meet the same trouble."""
        self._disconnect()
        if is_lock_timeout(error):
            self._locks.tell("its work")
            wait = jittered(AGAIN_SECONDS)
        else:
            wait = self._trouble.failed(error, MAX_BACKOFF_SECONDS)
        self._turn_at = monotonic() + wait

    # Its connection

    def _take_connection(self, connecting: "Connecting") -> None:
        connected, self._connecting = connecting.result, None
        if isinstance(connected, Exception):
            self._fail(connected)
        elif connected is not None:
            self._line = Line(connected, self.on_notified)
            self._turn_at = 0.0
            self._ear.listen(self._line)

    def _disconnect(self) -> None:
        line, self._line = self._line, None
        self._steps, self.is_connected = None, False
        self.ticking.ended()
        if line is not None:
            self._ear.leave(line)
            line.close()


class Connecting:
    """A connection that is being opened, in a thread of its own."""

    def __init__(self, database: Database, name: str, on_done: Callable[[], None]) -> None:
        self.result: Connection | Exception | None = None
        self.is_done = False
        self._database = database
        self._purpose = f"worker {name}"
        self._on_done = on_done
        self._lock = threading.Lock()
        self._is_given_up = False
        threading.Thread(target=self._connect, name=f"jobq-{name}", daemon=True).start()

    def give_up(self) -> None:
        """The connection is no longer wanted."""
        with self._lock:
            self._is_given_up = True
            self._close()

    def _connect(self) -> None:
        result: Connection | Exception
        try:
            with telemetry.quiet():
                result = self._database.connect(self._purpose, walk_indexes=True, lock_seconds=LOCK_SECONDS)
        except Exception as error:  # noqa: BLE001 - told by whoever wanted it
            result = error
        with self._lock:
            self.result, self.is_done = result, True
            if self._is_given_up:
                self._close()
        self._on_done()

    def _close(self) -> None:
        if self.result is not None and not isinstance(self.result, Exception):
            self.result.close()
