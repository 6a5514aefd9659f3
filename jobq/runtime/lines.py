"""Writes lines to a file or pipe in a thread of its own, so that no writer waits for the reader."""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

MAX_BYTES = 4 << 20
"""Lines wait in memory up to this size. Later ones are dropped and counted."""

TELL_AGAIN_SECONDS = 1.0
"""The number of dropped lines is written at most this often."""


class Lines:
    """The queue, and its thread. `tell_dropped` makes the line with the number of dropped lines.

    A reader that hangs, a full disk and a closed terminal have the same effect: lines are dropped, and their number is
    written as soon as a line can be written again.
    """

    def __init__(self, fd: int, tell_dropped: Callable[[int], bytes]) -> None:
        self._fd = fd
        self._tell_dropped = tell_dropped
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()  # a signal handler may put, too
        self._put_bytes = 0
        self._taken_bytes = 0  # only the thread writes it
        self._dropped_before = 0  # for lack of room here
        self._dropped_after = 0  # because they could not be written; only the thread writes it
        self._told = 0
        self._tell_at = 0.0
        self._is_cut = False  # the last line was written only in part
        threading.Thread(target=self._work, name="jobq-log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Never waits."""
        waiting = self._put_bytes - self._taken_bytes
        if waiting and waiting + len(line) > MAX_BYTES:
            self._dropped_before += 1
            return
        self._put_bytes += len(line)
        self._queue.put(line)

    def flush(self, seconds: float) -> bool:
        """Waits until everything is written. False: it was not, within this time."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    # In its own thread

    def _work(self) -> None:
        while True:
            match self._queue.get():
                case threading.Event() as reached:
                    self._tell(at_once=True)
                    reached.set()
                case line:
                    if not self._write(line):
                        self._dropped_after += 1
                    self._taken_bytes += len(line)
                    self._tell(at_once=False)

    def _tell(self, *, at_once: bool) -> None:
        """Writes how many lines were dropped since the last time."""
        dropped = self._dropped_before + self._dropped_after
        if dropped == self._told or (monotonic() < self._tell_at and not at_once):
            return
        self._tell_at = monotonic() + TELL_AGAIN_SECONDS
        if self._write(self._tell_dropped(dropped - self._told)):
            self._told = dropped

    def _write(self, line: bytes) -> bool:
        """False: it cannot be written now, because the disk is full or there is no reader."""
        rest = memoryview(b"\n" + line if self._is_cut else line)
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
                self._is_cut = True
        except OSError:
            return False
        self._is_cut = False
        return True

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # another process that shares the pipe has set it so
                select.select([], [self._fd], [])
