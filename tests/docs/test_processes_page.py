"""docs/processes.md does what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store


def test_the_process_that_the_page_leaves_running_is_killed(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    (definition,) = docs("processes").code("Processes that a job starts")
    application.write("jobs.py", definition)
    store.add(job_class="jobs.Render", arguments='{"page": "home"}')

    with application.start("run", "--max-processes", "1") as worker:
        (result,) = eventually(store.results)
        eventually(lambda: not is_running(result.value))
        eventually(lambda: "a job left running processes (sleep), now killed job_class=jobs.Render" in worker.stderr)


def test_the_log_of_a_job_is_shown_as_the_page_sets_it_up(application: "Application", store: "Store") -> None:
    (definition,) = docs("processes").code("Logs")
    application.write("jobs.py", definition)
    store.add(job_class="jobs.import_orders", arguments='{"file": "orders.csv"}')
    worked = application.jobq("run", "--drain", "--max-processes", "1")
    assert "INFO jobs reading orders.csv" in worked.stderr


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before, or while it was read
        return False
