"""An application that hangs, dies or fails while it is loaded: the worker says so, and ends where it never can."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from jobq.errors import EnqueueError
from jobq.operate.planning import plan
from jobq.settings import Settings

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
    import shop.models
    from jobq import Job, register_job

    @register_job
    class Echo(Job):
        def run(self):
            return 1
"""


@pytest.fixture
def shop(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    application.write("shop/__init__.py", "")
    application.write("shop/models.py", "import json\n")
    return application


def test_an_import_that_hangs_is_named_with_its_place(shop: "Application", eventually: Eventually) -> None:
    shop.write("shop/models.py", "import json\nimport time\ntime.sleep(1000)\n")
    with shop.start("run", "--max-processes", "1") as worker:
        eventually(lambda: "has not loaded the application after" in worker.stderr)
        said = next(line for line in worker.stderr.splitlines() if "has not loaded" in line)
        assert "it is importing shop.models (imported by jobs)" in said
        assert f"at={shop.path}/shop/models.py:3 in <module>, from {shop.path}/jobs.py:1 in <module>" in said
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0


def test_a_worker_ends_when_each_child_dies_of_an_import_and_says_of_which(shop: "Application") -> None:
    shop.write("shop/models.py", "import ctypes\nctypes.string_at(0)\n")
    ended = shop.jobq("run", "--max-processes", "2")
    assert ended.returncode == 2
    deaths = [line for line in ended.stderr.splitlines() if "a child died" in line]
    assert len(deaths) == 8
    for death in deaths:
        assert "died while importing shop.models (imported by jobs): it was killed by SIGSEGV" in death
        assert "string_at, from " in death
        assert f"{shop.path}/shop/models.py:2 in <module>, from {shop.path}/jobs.py:1 in <module>" in death
    assert "no child could load the application in 4 attempts; the worker ends" in ended.stderr


def test_a_child_that_leaves_without_a_word_is_told_by_what_it_was_at(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    """A file that is mended meanwhile is tried again."""
    store.add(job_class="jobs.Echo")
    shop.write("shop/models.py", "import json, os\nos._exit(0)\n")
    with shop.start("run", "--max-processes", "1") as worker:
        eventually(
            lambda: "died while importing shop.models (imported by jobs): it exited with code 0" in worker.stderr
        )
        shop.write("shop/models.py", "")
        eventually(lambda: [result.outcome for result in store.results()] == ["successful"])


@pytest.mark.parametrize("jobs", ["class Broken(:\n", None])
def test_what_cannot_be_imported_is_refused_without_a_word_of_killed_processes(
    shop: "Application", jobs: str | None
) -> None:
    shop.path.joinpath("jobs.py").unlink()
    if jobs is not None:
        shop.write("jobs.py", jobs)
    ended = shop.jobq("run", "--max-processes", "3")
    assert ended.returncode == 2
    assert ended.stderr.count("jobq: error: ") == 1
    assert "SIGKILL" not in ended.stderr
    assert "memory" not in ended.stderr


def test_with_reload_a_broken_file_is_tried_again_when_it_has_changed(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    store.add(job_class="jobs.Echo")
    shop.write("shop/models.py", "class Broken(:\n")
    with shop.start("run", "--max-processes", "1", "--reload") as worker:
        eventually(lambda: "trying again" in worker.stderr)
        shop.write("shop/models.py", "")
        eventually(lambda: [result.outcome for result in store.results()] == ["successful"])


@pytest.mark.parametrize("command", [["check", "--pending"], ["enqueue", "jobs.Echo"], ["jobs", "--local"]])
def test_a_command_says_where_the_application_crashed_that_it_loads(shop: "Application", command: list[str]) -> None:
    shop.write("shop/models.py", "import ctypes\nctypes.string_at(0)\n")
    ended = shop.jobq(*command)
    assert ended.returncode == -signal.SIGSEGV
    assert f'File "{shop.path}/shop/models.py", line 2 in <module>' in ended.stderr


def test_a_command_says_what_it_waits_for_while_the_application_is_loaded(
    shop: "Application", eventually: Eventually
) -> None:
    shop.write("shop/models.py", "import time\n\ntime.sleep(1000)\n")
    with shop.start("enqueue", "jobs.Echo") as command:
        place = f"{shop.path}/shop/models.py:3"
        said = f"after 5 s: it is importing shop.models (imported by jobs), at {place}"
        eventually(lambda: f"jobq: the application has not loaded {said}" in command.stderr)


def test_the_console_is_told_where_the_application_crashed(
    shop: "Application", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("shop/models.py", "import ctypes\nctypes.string_at(0)\n")
    monkeypatch.chdir(shop.path)
    with pytest.raises(EnqueueError, match=r"its process was killed by SIGSEGV at .*ctypes/__init__.py:\d+"):
        plan(settings, ["enqueue", "jobs.Echo"])


def test_a_frozen_program_says_why_it_cannot_be_a_worker(application: "Application") -> None:
    program = "import sys; sys.frozen = True; from jobq.cli import main; main()"
    with application.start("run", program=("-c", program)) as worker:
        assert worker.wait() == 2
        assert worker.stderr.startswith("jobq: error: ")
        assert "no interpreter with which a worker could start its processes" in worker.stderr
