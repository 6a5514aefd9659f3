"""`jobq run --reload`: new code by new children, and never a job less for it."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]


def code(version: str, more: str = "") -> str:
    return f"""
import time
from pathlib import Path

from jobq import Job, register_job


@register_job
class Version(Job):
    def __init__(self, started=None, go=None):
        self.started, self.go = started, go

    def run(self):
        if self.started:
            Path(self.started).touch()
            while not Path(self.go).exists():
                time.sleep(0.01)
        return "{version}"

{more}
"""


def add(store: "Store", job_class: str = "Version", **arguments: Any) -> int:
    job = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments))
    assert job is not None
    return job


def value(store: "Store", job: int) -> Any:
    return [result.value or result.error_type for result in store.results(job)]


@pytest.fixture
def app(application: "Application", monkeypatch: pytest.MonkeyPatch) -> "Application":
    # Python takes compiled code for current if the second and the size of its source are the same.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    application.write("jobs.py", code("one"))
    return application


def test_changed_code_takes_over_and_a_job_at_work_ends_with_the_old(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    with app.start("run", "--reload", "--max-processes", "2") as worker:
        busy = add(store, started=str(tmp_path / "started"), go=str(tmp_path / "go"))
        eventually((tmp_path / "started").exists)
        app.write("jobs.py", code("two", "@register_job\nclass New(Version): pass\n"))
        loaded(worker, 2, eventually)
        after, new = add(store), add(store, "New")
        eventually(lambda: value(store, after) == ["two"] and value(store, new) == ["two"])
        assert value(store, busy) == []
        (tmp_path / "go").touch()
        eventually(lambda: value(store, busy) == ["one"])
        pids = store.rows("SELECT pid FROM jobq.workers")
        stop(worker)
    assert [row.pid for row in pids] == [worker.pid]


def test_a_job_that_outlives_the_grace_time_is_cut_off_and_runs_again(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    with app.start("run", "--reload", "--max-processes", "1", "--shutdown-grace", "1") as worker:
        job = add(store, started=str(tmp_path / "started"), go=str(tmp_path / "go"))
        eventually((tmp_path / "started").exists)
        app.write("jobs.py", code("two"))
        eventually(lambda: [result.error_type for result in store.results(job)] == ["CutOff"])
        (tmp_path / "go").touch()
        eventually(lambda: value(store, job) == ["CutOff", "two"])
        stop(worker)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("def broken(:", "SyntaxError"),
        ("import os\nos._exit(5)", "exited with code 5"),
        ("nothing = 1", "No job class is registered"),
    ],
)
def test_code_that_does_not_load_is_reported_and_the_last_good_children_go_on(
    app: "Application", store: "Store", eventually: Eventually, broken: str, said: str
) -> None:
    with app.start("run", "--reload", "--max-processes", "1", "--max-jobs-per-process", "2") as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        app.write("jobs.py", broken)
        eventually(lambda: said in worker.stderr)
        jobs = [add(store) for _ in range(5)]
        eventually(lambda: [value(store, job) for job in jobs] == [["one"]] * 5)
        app.write("jobs.py", code("mended"))
        loaded(worker, 2, eventually)
        job = add(store)
        eventually(lambda: value(store, job) == ["mended"])
        stop(worker)


def test_settings_are_read_again_and_those_that_cannot_be_used_change_nothing(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    settings = (app.path / "pyproject.toml").read_text()
    app.write("more.py", "from jobs import Version, register_job\n\n@register_job\nclass More(Version): pass\n")
    with app.start("run", "--reload", "--max-processes", "1") as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        app.write("pyproject.toml", f"{settings}app = 5\n")
        eventually(lambda: "the settings cannot be used" in worker.stderr)
        app.write("pyproject.toml", f'{settings}app = ["more"]\n')
        loaded(worker, 2, eventually)
        job = store.add(job_class="more.More")
        assert job is not None
        eventually(lambda: value(store, job) == ["one"])
        stop(worker)


def loaded(worker: "Started", times: int, eventually: Eventually) -> None:
    eventually(lambda: worker.stderr.count("application loaded") >= times)


def stop(worker: "Started") -> None:
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
