"""The demonstration: real work, true failures, true retries."""

import ast
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobq.demo.course import is_broken, source_files

if TYPE_CHECKING:
    from conftest import Application, Store


def test_the_demonstration_analyses_the_standard_library_and_tells_what_came_of_it(
    application: "Application", store: "Store"
) -> None:
    migrated = application.jobq("migrate")
    assert migrated.returncode == 0
    finished = application.jobq("demo", "--jobs", "150", "--max-processes", "2")

    assert finished.returncode == 0, finished.stderr
    ends = store.rows("SELECT * FROM jobq_demo.results WHERE NOT retried ORDER BY id")
    files = [row for row in ends if row.job_class == "jobq.demo.jobs.AnalyseFile"]
    (report,) = [row for row in ends if row.job_class == "jobq.demo.jobs.ReportLibrary"]
    assert len({row.queue for row in ends}) == 3
    assert len({row.priority for row in ends}) >= 3
    assert report.outcome == "successful"
    assert report.value["files"] == len(files)
    assert report.value["lines"] == sum(row.value["lines"] for row in files if row.outcome == "successful")
    errored = [row for row in files if row.outcome == "errored"]
    assert report.value["unreadable"] == len(errored)
    assert {row.id for row in errored} == {row.id for row in files if not parses(row.arguments["path"])}
    assert all("ast.parse(" in row.traceback for row in errored)
    came_too_early = store.rows("SELECT * FROM jobq_demo.results WHERE retried AND error_type LIKE '%%NotYet'")
    assert came_too_early
    assert f"{len(ends)} jobs in" in finished.stdout
    told = [application.jobq(*line.split()[1:]) for line in re.findall(r"^  jobq (?!demo).*$", finished.stdout, re.M)]
    assert told
    assert [command.returncode for command in told] == [0] * len(told)
    assert store.results() == [], "with a database configured it keeps to a schema of its own"


def parses(path: str) -> bool:
    try:
        ast.parse(Path(path).read_bytes())
    except (SyntaxError, ValueError):
        return False
    return True


def test_the_demonstration_keeps_running_until_it_is_stopped(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    with application.start("demo", "--jobs", "20", "--max-processes", "1", "--keep-running") as demo:
        eventually(lambda: "keep coming" in demo.stderr)
        before = len(store.rows("SELECT FROM jobq_demo.results"))
        eventually(lambda: len(store.rows("SELECT FROM jobq_demo.results")) > before + 5)
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0, demo.stderr
    assert store.rows("SELECT FROM jobq_demo.workers WHERE stopped_at IS NULL") == []


def test_the_work_is_every_source_file_of_this_python() -> None:
    everything = source_files()
    assert len(everything) > 500
    assert {path.suffix for path in everything} == {".py"}
    some = source_files(100)
    assert len(some) == len(set(some)) <= 100
    assert set(some) <= set(everything)
    assert any(map(is_broken, some)) == any(map(is_broken, everything))
