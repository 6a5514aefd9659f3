"""A short run of the storm of kills; the whole one is `python -m tests.faults.kills`."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_every_job_is_accounted_for_while_workers_and_children_are_killed_at_random(database_url: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.kills", "--jobs", "200", "--database-url", database_url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "every job is accounted for" in finished.stdout
    assert "jobs acknowledged: 200" in finished.stdout
