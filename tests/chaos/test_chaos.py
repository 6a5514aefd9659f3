"""A short chaos run; the whole one is `python -m tests.chaos`."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_every_promise_is_kept_while_everything_fails_at_random() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--minutes", "0.2", "--seed", "8"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "every job is accounted for" in finished.stdout
    assert "lost: 0" in finished.stdout.splitlines()
