"""docs/processes.md does what it says."""

import os
from collections.abc import Callable
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
        eventually(lambda: not os.path.exists(f"/proc/{result.value}") or f"{result.value} " not in listing())
        eventually(lambda: "a job left running processes (sleep), now killed job_class=jobs.Render" in worker.stderr)


def listing() -> str:
    """The living processes by number; a zombie does not live."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(f"{pid} ")
    return "".join(found)
