"""A run of the matrix of stubborn jobs; with other grace times it is `python -m tests.faults.stubborn`."""

import subprocess
import sys
from pathlib import Path


def test_no_stubborn_job_outlives_a_cancel_a_timeout_its_expiry_or_a_shutdown(database_url: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.stubborn", "--grace", "0.5", "--database-url", database_url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "24 jobs ended as they should" in finished.stdout
