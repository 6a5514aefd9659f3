"""Ends the console's process when its terminal closes or a signal asks for it: in order if possible, else at once.

The console may hang in a write that nobody reads, in a query, or in a defect. None of these may keep it alive without a
terminal. A separate thread waits for the end, asks the console to close, and ends the process after a grace period.
Processes that the console started (an embedded server, the demonstration's worker) then end by themselves.
"""

import _thread
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeAlias

GRACE_SECONDS = 5.0
"""The grace period for closing in order."""

EXIT_CODE = 128 + 1
"""The exit code of a process that had to be ended, as a shell reports one that its terminal ended."""

RESTORE = b"\x1b[<u\x1b[?2004l\x1b[?1006l\x1b[?1003l\x1b[?1000l\x1b[?1004l\x1b[?7h\x1b[?1049l\x1b[?25h"
"""Written to the terminal so that a shell can use it again."""

Mode: TypeAlias = list[Any]
"""The attributes of a terminal, as in termios."""

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_reader, _writer = -1, -1
_leave: Callable[[], None] | None = None
_lock = threading.Lock()
_has_begun = False


@contextmanager
def with_terminal(descriptor: int) -> Iterator[None]:
    """Ends the process when the terminal or pipe of this descriptor is closed, and on SIGTERM and SIGHUP."""
    global _reader, _writer, _leave
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    _reader, _writer = os.pipe()
    _leave = _thread.interrupt_main  # until there is a console
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    threading.Thread(target=_watch, args=[descriptor, mode_of(descriptor)], name="jobq-tui-end", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def call(leave: Callable[[], None] | None) -> None:
    """The function that starts to close the console, from any thread. None if closing has started."""
    global _leave
    with _lock:
        _leave = leave
        is_late = _has_begun
    if is_late and leave is not None:
        leave()


def begin() -> None:
    """Ends the process: in order, or after the grace period."""
    if _writer >= 0:
        os.write(_writer, b".")


def _on_signal(_signal: int, _frame: FrameType | None) -> None:
    begin()


def _watch(descriptor: int, mode: Mode | None) -> None:
    global _has_begun
    wait_for_end(descriptor)
    with _lock:
        _has_begun = True
        leave = _leave
    if leave is not None:
        leave()
    time.sleep(GRACE_SECONDS)
    restore(descriptor, mode)
    os._exit(EXIT_CODE)


def wait_for_end(descriptor: int) -> None:
    """Waits until the other end of the terminal is closed, or `begin` was called. Waiting costs nothing."""
    poll = select.poll()
    poll.register(_reader, select.POLLIN)
    poll.register(descriptor, 0)  # a hang-up is reported in any case
    while True:
        for which, mask in poll.poll():
            if which == _reader or mask & (select.POLLHUP | select.POLLERR):
                return
            poll.unregister(descriptor)  # macOS cannot poll a terminal: SIGHUP remains


def mode_of(descriptor: int) -> Mode | None:
    import termios

    with suppress(termios.error):  # it is not a terminal
        return termios.tcgetattr(descriptor)
    return None


def restore(descriptor: int, mode: Mode | None) -> None:
    """Restores a terminal that is still there, unless that would block."""
    import termios

    if mode is None:
        return
    with suppress(termios.error, OSError):  # it is gone
        termios.tcsetattr(descriptor, termios.TCSANOW, mode)
        if select.select([], [2], [], 0)[1]:
            os.write(2, RESTORE)
