"""The console's process ends with its terminal, and gives it back to a shell."""

import os
import signal
import sys
from typing import Any

import pytest
from closings import LONGEST, Closing, Silent, closed, start, wait_for_end

QUICK = {"XDG_CONFIG_HOME": "/nonexistent", "PS1": "$ ", "HISTFILE": ""}
CONSOLE = [sys.executable, "-m", "jobq", "tui"]


@pytest.mark.parametrize("way", ["undrained", "q, undrained", "starting", "SIGHUP ignored", "hung database"])
def test_nothing_is_left_of_a_console_whose_terminal_was_closed(application: Any, way: str) -> None:
    with Silent() as silent:
        closing = closed(way, application.path, lambda least, most: least + (most - least) / 8, silent)
        assert wait_for_end(closing) == []


def test_the_demonstrations_worker_ends_with_a_console_that_was_killed(application: Any) -> None:
    closing = start([*CONSOLE, "--demo"], application.path, QUICK)
    closing.read(LONGEST, b"library")
    closing.process.kill()
    left = wait_for_end(closing)
    closing.close()
    assert left == []


def test_a_console_that_cannot_write_ends_when_it_is_told_to(application: Any) -> None:
    closing = start([*CONSOLE, "--every", "0.5"], application.path, QUICK)
    closing.read(LONGEST, b"NEEDS")
    for _ in range(3000):
        os.write(closing.terminal, b"12")  # it draws, and nobody reads that
    closing.process.send_signal(signal.SIGTERM)
    left = wait_for_end(closing)
    closing.close()
    assert left == []


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_the_console_back(application: Any) -> None:
    shell = start(["bash", "--norc", "-i"], application.path, QUICK)
    try:
        tell(shell, " ".join(CONSOLE) + "\n", b"NEEDS")
        tell(shell, "\x1a", b"Stopped")
        tell(shell, "echo $((6 * 7)) is typed\n", b"42 is typed")
        tell(shell, "fg\n", b"NEEDS")
        tell(shell, "\x03", b"Running jobs go on")
        tell(shell, "\x03", b"$ ")
        tell(shell, "echo $((5 * 5)) after\n", b"25 after")
    finally:
        shell.close()
    assert wait_for_end(shell) == []


def tell(shell: Closing, keys: str, until: bytes) -> None:
    shell.drawn = b""
    os.write(shell.terminal, keys.encode())
    shell.read(LONGEST, until)
    assert until in shell.drawn, shell.drawn[-2000:]
