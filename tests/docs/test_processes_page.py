"""docs/processes.md does what it says."""

import zipapp
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


JOBS = """
import prices
from jobq import job

@job
def double(price):
    return prices.factor * price
"""


def test_children_find_what_a_zipapp_and_the_main_of_the_page_have_found(
    application: "Application", store: "Store", tmp_path: Path
) -> None:
    (main,) = docs("processes").code("Zipapps and frozen programs")
    source, beside = tmp_path / "source", tmp_path / "beside"
    files = {
        source / "__main__.py": main.replace("/srv/shop", str(beside)),
        source / "shop" / "__init__.py": "",
        source / "shop" / "jobs.py": JOBS,
        beside / "prices.py": "factor = 2\n",
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    zipapp.create_archive(source, application.path / "app.pyz")
    store.add(job_class="shop.jobs.double", arguments='{"price": 21}')

    with application.start("run", "--app", "shop.jobs", "--drain", program=("app.pyz",)) as worker:
        assert worker.wait() == 0

    assert [result.value for result in store.results()] == [42]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before, or while it was read
        return False
