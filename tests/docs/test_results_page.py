"""docs/results.md says what is true: its examples run as they stand there."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("results")

JOBS = """
from jobq import Job, register_job

@register_job
class Resize(Job):
    def __init__(self, file: str, width: int):
        self.file, self.width = file, width

    def get_queue(self):
        return "images"

    def run(self):
        if self.file == "broken.png":
            raise ValueError("this is no picture")
        return self.file.replace(".png", f"-{self.width}.png")

@register_job
class Shrink(Resize):
    def __init__(self, file: str):
        super().__init__(file, width=100)

    def get_unique_key(self):
        return self.file
"""


@pytest.fixture
def shop(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def shown(shop: "Application", *parts: str) -> str:
    """What a program prints that is put together from the page, while a worker runs."""
    with shop.start("run", "--max-processes", "1"):
        return str(shop.python("\n".join(parts)).stdout)


def test_a_job_is_waited_for_and_looked_up(shop: "Application") -> None:
    wait, look = PAGE.code("Wait for a job"), PAGE.code("Look a job up")
    printed = shown(shop, *wait, *look).splitlines()
    assert printed[:3] == ["successful cat-200.png", "finished successful None", "cat-200.png None"]
    assert printed[3].startswith("1 successful ")


def test_jobs_are_found_by_a_filter(shop: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Resize", queue="images", arguments='{"file": "broken.png", "width": 1}')
    shop.jobq("run", "--drain")
    assert shop.python(*PAGE.code("Find jobs")).stdout == f"{job} jobs.Resize this is no picture\n"


@pytest.mark.parametrize(
    ("section", "printed"),
    [
        ("Wait for many", "['0-200.png', '1-200.png', '2-200.png']\n['a-100.png', 'b-100.png']\n"),
        ("In an event loop", "owl-200.png finished\n"),
    ],
)
def test_an_example_prints_what_it_should(shop: "Application", section: str, printed: str) -> None:
    assert shown(shop, *PAGE.code(section)) == printed


def test_a_job_is_cancelled_and_retried(shop: "Application", store: "Store") -> None:
    assert shop.python(*PAGE.code("Cancel and retry")).stdout == "True False None\n"
    assert [job.state for job in store.unfinished()] == ["pending"]
    audit = store.rows("SELECT verb, who FROM jobq.audit ORDER BY id")
    assert [(act.verb, act.who) for act in audit] == [("cancel", "ada@example.com"), ("retry", "ada@example.com")]


def test_a_transaction_sees_its_own_job(shop: "Application", database_url: str) -> None:
    (example,) = PAGE.code("On your own connection")
    assert shown(shop, f"DATABASE_URL = {database_url!r}", example) == "pending\nsuccessful\n"


def test_a_script_waits_and_its_exit_codes_are_those_of_the_page(shop: "Application", store: "Store") -> None:
    (command,) = PAGE.commands("In a shell script")
    for job in (17, 18):
        store.execute(
            "INSERT INTO jobq.jobs (id, job_class, arguments) "
            'VALUES (%s, \'jobs.Resize\', \'{"file": "a.png", "width": 1}\')',
            job,
        )
    with shop.start(*command[1:]) as waiting:
        shop.jobq("run", "--drain")
        assert waiting.wait() == 0
    for code in ("| 1 | one was not |", "| 124 | the time was up before all had ended |"):  # tests/cli/test_wait.py
        assert code in PAGE.text


def test_the_shell_script_waits_for_the_job_that_it_enqueued(
    shop: "Application", store: "Store", monkeypatch: pytest.MonkeyPatch
) -> None:
    (script,) = PAGE.code("In a shell script", "sh")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["sh", "-c", script], cwd=shop.path, capture_output=True, text=True, check=False)

    held = script.replace("jobs.Resize cat.png 200", "jobs.Shrink cat.png")
    shop.jobq("enqueue", "jobs.Shrink", "cat.png", "--delay", "1h")
    assert (run(held).returncode, run(held).stdout) == (0, "it is queued already\n")
    with shop.start("run", "--max-processes", "1"):
        assert run(script).returncode == 0
    (resized,) = store.results()
    assert resized.value == "cat-200.png"


def test_a_held_key_may_return_its_holder_to_a_script(shop: "Application") -> None:
    assert 'With `on_held="return"` both give you the job' in PAGE.text
    shop.write("jobs.py", "from jobq import job\n@job(unique_key='one', on_held='return')\ndef one(): ...\n")
    first, second = (shop.jobq("enqueue", "jobs.one").stdout for _ in range(2))
    many = shop.python("import jobq, jobs; print([record.id for record in jobq.enqueue_many([jobs.one.job()] * 2)])")
    assert (second, many.stdout) == (first, f"[{first.strip()}, {first.strip()}]\n")


def test_the_grants_of_a_web_tier_are_printed(shop: "Application", connection: Any) -> None:
    (command,) = PAGE.commands("A web tier that sees no values")
    printed = shop.jobq(*command[1 : command.index("|")])
    assert printed.returncode == 0
    assert "-- The web enqueues jobs, and sees how a job stands" in printed.stdout
    assert 'TO "shop_web";' in printed.stdout
    assert "value" not in printed.stdout.partition("\n")[2]


def test_the_test_on_the_page_passes(shop: "Application") -> None:
    (example,) = PAGE.code("In tests")
    shop.write("test_shop.py", example)
    assert "1 passed" in shop.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py").stdout
