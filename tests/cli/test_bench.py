"""Measuring a database: figures, and nothing left behind."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Application, Store

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'jobq_bench%%'"


def test_a_database_is_measured_and_left_as_it_was(application: "Application", store: "Store") -> None:
    finished = application.jobq("bench", "--jobs", "150", "--max-processes", "1", "--json")

    assert finished.returncode == 0, finished.stderr
    figures = {figure["measure"]: figure for figure in json.loads(finished.stdout)}
    assert [figure["unit"] for figure in figures.values()] == ["jobs/s", "jobs/s", "jobs/s", "ms", "ms"]
    assert all(figure["value"] > 0 for figure in figures.values() if figure["unit"] == "jobs/s")
    assert 0 <= figures["commit to run(), p50"]["value"] <= figures["commit to run(), p99"]["value"]
    assert store.rows(SCHEMAS) == []


def test_a_run_that_is_stopped_cleans_up_and_one_that_is_killed_is_cleaned_up_after(
    application: "Application", store: "Store", eventually: Callable[[Callable[[], object]], object]
) -> None:
    def is_measuring() -> bool:
        return bool(store.rows(SCHEMAS))

    with application.start("bench", "latency") as stopped:
        eventually(is_measuring)
        stopped.process.send_signal(signal.SIGTERM)
        assert stopped.process.wait(60) == 128 + signal.SIGTERM
    assert store.rows(SCHEMAS) == []
    with application.start("bench", "latency") as killed:
        eventually(is_measuring)
        killed.process.kill()
        killed.process.wait(60)
    assert application.jobq("bench", "enqueue", "--jobs", "5").returncode == 0
    assert store.rows(SCHEMAS) == []


@pytest.mark.timeout(300)
def test_the_benchmarks_measure_everything_and_lose_nothing(database_url: str, tmp_path: Path) -> None:
    """A short run of each measure; its figures are worth nothing."""
    command = "benchmarks all --jobs 100 --rounds 1 --scale 0.0005 --processes 1 --peers none --results"
    finished = subprocess.run(
        [sys.executable, "-m", *command.split(), str(tmp_path), "--database-url", database_url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "results.md").read_text()
    for measure in ("enqueue one by one", "enqueue_many", "drain", "commit to run(), p50", "idle worker", "time spent",
                    "start", "backlog", "history", "a transaction held open"):  # fmt: skip
        assert f"\n| {measure}" in table
    assert "<svg" in (tmp_path / "results.svg").read_text()
