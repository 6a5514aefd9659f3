"""The real program in a pseudo-terminal, and where there is none."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[\]P_][^\x07\x1b]*(\x07|\x1b\\)|\x1b.")


class Terminal:
    """A program's other end: what it draws, and keys for it."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.drawn = b""

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.text:
            assert time.monotonic() < deadline, f"no {text!r} in {self.text[-2000:]!r}"
            readable, _, _ = select.select([self._descriptor], [], [], 0.1)
            if readable:
                try:
                    self.drawn += os.read(self._descriptor, 65536)
                except OSError:  # its end of the terminal is closed
                    assert text in self.text, f"it ended without {text!r}: {self.text[-2000:]!r}"

    def end(self, timeout: float = 60.0) -> int:
        """Its exit code. Meanwhile what it draws is read: a terminal that nobody reads holds it up."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it has not ended: {self.text[-2000:]!r}"
            readable, _, _ = select.select([self._descriptor], [], [], 0.1)
            with suppress(OSError):  # its end of the terminal is closed
                self.drawn += os.read(self._descriptor, 65536) if readable else b""
        return self.process.returncode

    def press(self, keys: str) -> None:
        self.drawn = b""
        os.write(self._descriptor, keys.encode())

    @property
    def text(self) -> str:
        return ESCAPES.sub(b"", self.drawn).decode(errors="replace")


def hear_hangups() -> None:
    """As in a terminal; who runs the tests under nohup ignores them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def terminal(folder: Any, *arguments: str, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobq", "tui", *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=hear_hangups,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_console_opens_shows_jobs_and_is_left_by_q(application: Any, store: Any) -> None:
    store.add(queue="mail")
    with terminal(application.path) as screen:
        screen.wait_for("NEEDS YOU")
        screen.press("2")
        screen.wait_for("newest first")
        screen.press("q")
        assert screen.end() == 0


def test_a_place_is_gone_to_at_once_and_left_when_the_terminal_is_closed(application: Any, store: Any) -> None:
    store.add(queue="mail")
    with terminal(application.path, "jobs/pending/queue:mail") as screen:
        screen.wait_for("1 match")
        screen.process.send_signal(signal.SIGHUP)
        assert screen.end() == 0


def test_without_a_database_the_console_waits_and_says_so(application: Any) -> None:
    with terminal(application.path, "--database-url", "postgresql://nobody:secret@127.0.0.1:1/none") as screen:
        screen.wait_for("cannot be reached")
        assert "secret" not in screen.text
        screen.press("q")
        assert screen.end() == 0


def test_without_a_terminal_the_console_says_what_to_use_instead(application: Any) -> None:
    done = application.jobq("tui")
    assert done.returncode == 2
    assert "jobq stats" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_place_that_is_not_there_is_refused(application: Any) -> None:
    with terminal(application.path, "nowhere") as screen:
        screen.wait_for("There is no screen 'nowhere'")
        assert screen.end() == 2


@pytest.mark.parametrize("size", [(24, 80), (10, 30), (60, 200)])
def test_the_console_fits_a_terminal_of_any_size(application: Any, size: tuple[int, int]) -> None:
    with terminal(application.path, rows=size[0], columns=size[1]) as screen:
        screen.wait_for("Over" if size[1] >= 60 else "larger window shows more")
        screen.press("q")
        assert screen.end() == 0


def test_the_demonstration_is_seen_at_work_in_one_command(application: Any) -> None:
    with terminal(application.path, "--demo", rows=40, columns=120) as screen:
        screen.wait_for("jobq_demo")
        screen.wait_for("library")
        screen.wait_for("AnalyseFile")
        screen.press("q")
        assert screen.end() == 0
