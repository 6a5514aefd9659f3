"""A short chaos run; the whole one is `python -m tests.chaos`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.log_reader import LogReader

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_every_promise_is_kept_while_everything_fails_at_random() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--minutes", "0.2", "--seed", "8"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "every job is accounted for" in finished.stdout
    assert "lost: 0" in finished.stdout.splitlines()


def test_a_run_with_machines_says_where_none_can_be_made_and_ends_with_a_code_of_its_own() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--hosts"],
        cwd=ROOT,
        env={**os.environ, "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 77
    assert finished.stdout == ""
    assert finished.stderr.startswith("no machines can be made of network namespaces here: ")
    assert finished.stderr.count("\n") == 1


def test_a_log_reader_that_hangs_leaves_its_pipe_full_and_reads_on_afterwards(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    reader = LogReader(tmp_path / "log")
    writing = reader.open()
    os.set_blocking(writing, False)
    os.write(writing, b"before\n")
    eventually(lambda: "before" in reader.file.read_text())
    with reader.hung(), pytest.raises(BlockingIOError):
        os.write(writing, b"meanwhile\n")
    os.set_blocking(writing, True)
    os.write(writing, b"after\n")
    os.close(writing)
    eventually(lambda: reader.file.read_text().split() == ["before", "after"])
