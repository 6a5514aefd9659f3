"""The only owner of threads: it asks the source, and tells the screens what it heard. Nothing else waits.

The threads are daemons: a question that hangs does not hold up the end of the console.
"""

import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from jobq.errors import DatabaseError, JobqError, UsageError

from .messages import Acted, Answered, Broke, Looked, Lost, Progressed, Refused
from .source import FIRST_SECONDS, Progress, Report, Source

RETRY_SECONDS = (0.5, 1.5)
"""Between two attempts to find a database that was lost: somebody is looking on. Never the same for all consoles."""

MOST_OF_THE_TIME = 20
"""Looks that take long are followed by a rest so many times as long: the console never keeps a database busy. One alone
may be slow by chance, as the first one is, which connects."""

SHORT_SECONDS = 0.25
"""What took no longer may be asked again with every look."""

PROGRESS_EVERY = 0.1

READERS = 6
"""Questions that are asked at the same time, at most. Each has a thread and a connection while it is under way: a slow
one, as for the stack of a job whose worker is dead, holds up neither the looks nor the others."""

MOST_OF_A_NAME = 2
"""Of the questions of one name, so many are under way: what is asked with every look must not take all readers, and a
list that is slow to come must not hold up the next one."""

FROZEN = "frozen: nothing is read until you press {key}"
"""What is asked meanwhile is refused in these words: it would not fit what is on the screen."""

OFF = math.inf
"""As the pace: looks only when told."""

AWAY_SECONDS = 5.0
"""Between two looks, at least, while the terminal does not have the focus."""

STILL_SECONDS = 2.0
"""Between two looks, at least, while nothing happens: an idle console costs next to nothing."""

STILL_LOOKS = 3
"""Looks one after the other that found the same: nothing happens."""


class Feed:
    """Looks every `every` seconds; answers questions, the youngest of each name only; does acts one after the other."""

    def __init__(self, source: Source, listener: MessagePump, *, every: float | None, may_slow: bool = True) -> None:
        """`may_slow`: looks are rarer while nothing happens."""
        self.source = source
        self.every = every  # None: only when told, and nothing else moves either
        self._listener = listener
        self._woken = threading.Event()
        self.seconds = FIRST_SECONDS  # the period of the figures
        self.is_frozen = False
        self.freeze_key = "f"  # what ends it, in words
        self.is_away = False
        self._is_over = False
        self._is_resting = False
        self._tries = 0
        self._took = 0.0  # seconds, the last look
        self._may_slow = may_slow
        self._contents: object = None  # of the last look
        self._still = 0  # looks that found the same as the one before
        self._readers = Hands("jobq-tui-read", self._broke, READERS)
        self._actor = Hands("jobq-tui-act", self._broke, 1)  # acts are done in their order
        self._youngest: dict[tuple[int, str], int] = {}
        self._lock = threading.Lock()
        self._under_way: Counter[tuple[int, str]] = Counter()
        self._waiting: dict[tuple[int, str], Callable[[], None]] = {}  # the youngest of those that are too many
        self._rests: dict[tuple[int, str], float] = {}  # until when what took long is not asked again by itself

    @property
    def pace(self) -> float | None:
        """Seconds from one look to the next; None where that is only when told."""
        if self.every is None or self.every == OFF:
            return None
        if self.is_away:
            return max(self.every, AWAY_SECONDS)
        return max(self.every, STILL_SECONDS) if self._still >= STILL_LOOKS else self.every

    def start(self) -> None:
        self._woken.set()
        threading.Thread(target=self._look_on, name="jobq-tui-look", daemon=True).start()

    def stop(self) -> None:
        self._is_over = True
        self._woken.set()
        self._readers.stop()
        self._actor.stop()

    def look(self) -> None:
        """Looks as soon as may be."""
        self._woken.set()

    @property
    def is_idle(self) -> bool:
        """Nothing is asked, and nothing is being done."""
        return self._is_resting and not self._woken.is_set() and self._readers.is_idle and self._actor.is_idle

    def ask(self, asker: MessagePump, name: str, question: Callable[[Source], Any], *, is_again: bool = False) -> None:
        """Has a question answered to `asker`. A younger one of the same name makes it void, however late it comes.

        One that nobody asked for anew, `is_again`, is left out for a while where the last one took long, and while it
        is under way.
        """
        key = (id(asker), name)
        if self.is_frozen:
            if not is_again:
                asker.post_message(Refused(name, self._frozen()))
            return
        if is_again and (monotonic() < self._rests.get(key, 0.0) or self._under_way[key]):
            return
        number = self._youngest[key] = self._youngest.get(key, 0) + 1

        def answer() -> None:
            try:
                if self._youngest[key] == number:
                    self._answer(asker, name, number, question)
            finally:
                self._go_on(key)

        with self._lock:
            if self._under_way[key] >= MOST_OF_A_NAME:
                self._waiting[key] = answer
                return
            self._under_way[key] += 1
        self._readers.do(answer)

    def forget(self, asker: MessagePump, name: str) -> None:
        """Makes a question void: nobody waits for its answer any more."""
        key = (id(asker), name)
        self._youngest[key] = self._youngest.get(key, 0) + 1

    def _go_on(self, key: tuple[int, str]) -> None:
        """A question has ended: one of its name that waits is next."""
        with self._lock:
            following = self._waiting.pop(key, None)
            if following is None:
                self._under_way[key] -= 1
                return
        self._readers.do(following)

    def _answer(self, asker: MessagePump, name: str, number: int, question: Callable[[Source], Any]) -> None:
        key = (id(asker), name)
        began = monotonic()
        try:
            message: Message = Answered(name, question(self.source))
        except JobqError as error:
            message = Refused(name, error)
            if isinstance(error, DatabaseError):
                self.look()
        finally:
            took = monotonic() - began
            self._rests[key] = began + took * (1 + MOST_OF_THE_TIME) if took > SHORT_SECONDS else 0.0
        if self._youngest[key] == number:
            asker.post_message(Refused(name, self._frozen()) if self.is_frozen else message)

    def _frozen(self) -> UsageError:
        return UsageError(FROZEN.format(key=self.freeze_key))

    def act(self, asker: MessagePump, name: str, deed: Callable[[Source, Progress], Any]) -> None:
        """Does something that changes the world. Its report, or its refusal, is told to `asker`."""

        def do() -> None:
            try:
                value = deed(self.source, Told(asker, name))
            except JobqError as error:
                asker.post_message(Refused(name, error))
            else:
                asker.post_message(Acted(value) if isinstance(value, Report) else Answered(name, value))
            self.look()

        self._actor.do(do)

    def _look_on(self) -> None:
        while not self._is_over:
            self._woken.clear()
            self._is_resting = False
            try:
                rest = None if self.is_frozen else self._look_once()
            except Exception as error:  # noqa: BLE001 - the edge of the thread: a defect must be seen, not vanish with it
                self._broke(error)
                return
            self._is_resting = True
            self._woken.wait(rest)

    def _broke(self, error: Exception) -> None:
        self._listener.post_message(Broke(error))

    def _look_once(self) -> float | None:
        """Looks, tells, and says how long to rest."""
        began = monotonic()
        try:
            snapshot = self.source.look(self.seconds)
        except JobqError as error:
            self._tries += 1
            self._took = 0.0
            self._listener.post_message(Lost(error, self._tries))
            self.source.reset()
            return None if self.every is None else random.uniform(*RETRY_SECONDS)  # noqa: S311 - no secret
        self._tries = 0
        if self._may_slow:
            contents = snapshot.contents
            self._still = self._still + 1 if contents == self._contents else 0
            self._contents = contents
        self._listener.post_message(Looked(snapshot))
        pace, before = self.pace, self._took
        self._took = monotonic() - began
        return None if pace is None else max(pace, MOST_OF_THE_TIME * min(before, self._took))


class Told:
    """Tells how far an act is, not more often than anybody can read."""

    def __init__(self, asker: MessagePump, name: str) -> None:
        self._asker = asker
        self._name = name
        self._told_at = 0.0

    def __call__(self, seen: int) -> None:
        if monotonic() - self._told_at >= PROGRESS_EVERY:
            self._told_at = monotonic()
            self._asker.post_message(Progressed(self._name, seen))


class Hands:
    """Threads that do what they are given, the first of it first: as many as there is to do, up to `most`."""

    def __init__(self, name: str, broke: Callable[[Exception], None], most: int) -> None:
        self._name = name
        self._broke = broke
        self._most = most
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._open = 0
        self._threads = 0
        self._lock = threading.Lock()

    def stop(self) -> None:
        """After what they have been given so far."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def do(self, task: Callable[[], None]) -> None:
        with self._lock:
            self._open += 1
            if self._threads < min(self._open, self._most):
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._tasks.put(task)

    @property
    def is_idle(self) -> bool:
        return self._open == 0

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - as above
                self._broke(error)
            finally:
                with self._lock:
                    self._open -= 1
