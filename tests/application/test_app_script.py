"""A folder with scripts, no framework and no database: it fetches the pages of a site, and waits for them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services import Service, serving

if TYPE_CHECKING:
    from conftest import Application

APP = Path(__file__).parent / "apps" / "script"

IMPATIENT = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1.5", "JOBQ_POLL_EVERY": "0.5"}


@pytest.fixture
def site() -> Iterator[Service]:
    """Has every page but /gone. /flaky fails at first, and the first answer of /slow never comes."""

    def answer(path: str, _: str, times: int) -> tuple[int, str]:
        if path == "/slow" and times == 1:
            service.hold()
        if path == "/gone":
            return 404, "gone"
        return (503, "later") if path == "/flaky" and times == 1 else (200, "x" * 100)

    with serving(answer) as service:
        yield service


@pytest.fixture
def crawler(without_database: "Application", site: Service, monkeypatch: pytest.MonkeyPatch) -> "Application":
    """The folder as `jobq init` leaves it, with 300 pages to fetch."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    shutil.copytree(APP, without_database.path, dirs_exist_ok=True)
    without_database.write("pages.txt", "\n".join(f"{site.url}/page-{number}" for number in range(300)))
    begun = without_database.jobq("init")
    assert begun.returncode == 0, begun.stderr
    assert "the project's jobs are in jobs" in begun.stderr
    return without_database


def script(crawler: "Application", *command: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program of the folder to its end."""
    environment = dict(os.environ)  # without the COLUMNS that readline sets behind Python's back
    return subprocess.run(
        command, cwd=crawler.path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def check(crawler: "Application", *arguments: str) -> "subprocess.CompletedProcess[str]":
    return script(crawler, "./check.sh", *arguments)


def attempts_of(crawler: "Application", job_id: str) -> list[tuple[str, str | None]]:
    """The outcome of each attempt, with the type of its error, as the rows have them."""
    url = crawler.jobq("db", "url").stdout.strip()
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT outcome, error_type FROM jobq.results WHERE id = %s ORDER BY attempt", [job_id]
        ).fetchall()


def test_a_script_enqueues_hundreds_of_jobs_waits_for_them_and_sums_up(crawler: "Application", site: Service) -> None:
    with (crawler.path / "pages.txt").open("a") as pages:
        pages.write(f"\n{site.url}/flaky\n{site.url}/gone\n{site.url}/page-1\n")

    with crawler.start("run", "--max-processes", "2"):
        crawled = script(crawler, sys.executable, "crawl.py")

    enqueued, fetched, *failed = crawled.stdout.splitlines()
    assert (enqueued, fetched) == ("302 of 303 pages enqueued", "301 fetched, 30100 bytes")
    (gone,) = failed
    assert gone.endswith(f"{site.url}/gone: {site.url}/gone is gone")
    assert crawled.returncode == 1
    assert "jobs go to the embedded PostgreSQL" in crawled.stderr
    assert (site.asked["/flaky"], site.asked["/gone"], site.asked["/page-1"]) == (2, 1, 1)
    flaky, gone_id = json.loads(crawler.jobq("list", "finished", "tries:>1", "--json").stdout), gone.split()[1]
    assert attempts_of(crawler, str(flaky[0]["id"])) == [("errored", "urllib.error.HTTPError"), ("successful", None)]
    assert attempts_of(crawler, gone_id.strip(",")) == [("errored", "jobq.Fail")]


def test_a_shell_script_ends_with_the_exit_code_of_its_job(crawler: "Application", site: Service) -> None:
    late = check(crawler, f"{site.url}/late", "0.1s")
    assert (late.returncode, "no worker runs (jobq run)" in late.stderr) == (124, True)
    again = check(crawler, f"{site.url}/late")
    assert (again.returncode, again.stdout) == (0, f"{site.url}/late is queued already\n")

    with crawler.start("run", "--max-processes", "1"):
        assert check(crawler, f"{site.url}/there").returncode == 0
        gone = check(crawler, f"{site.url}/gone")
        assert (gone.returncode, "is gone" in gone.stdout) == (1, True)


def test_the_nightly_job_enqueues_the_pages_that_do_not_wait_already(
    crawler: "Application", site: Service, eventually: Callable[..., Any]
) -> None:
    crawler.jobq("enqueue", "jobs.fetch", f"{site.url}/page-7", "--delay", "1h")

    def schedules() -> Any:
        return json.loads(crawler.jobq("schedules", "--json").stdout)

    with crawler.start("run", "--max-processes", "1"):
        (nightly,) = eventually(schedules)
        assert (nightly["name"], nightly["expression"]) == ("jobs.crawl_again", "0 3 * * *")
        ran = crawler.jobq("schedules", "run", "jobs.crawl_again", "--json")
        assert ran.returncode == 0, ran.stderr
        eventually(lambda: len(json.loads(crawler.jobq("list", "finished", "--limit", "500", "--json").stdout)) == 300)

    (crawled,) = json.loads(crawler.jobq("list", "finished", "class:jobs.crawl_again", "--json").stdout)
    shown = json.loads(crawler.jobq("show", str(crawled["id"]), "--json").stdout)
    assert shown["attempts"][0]["value"] == 299
    assert site.asked["/page-7"] == 0


def test_a_page_is_fetched_again_after_the_worker_was_killed(
    crawler: "Application", site: Service, eventually: Callable[..., Any]
) -> None:
    job_id = crawler.jobq("enqueue", "jobs.fetch", f"{site.url}/slow").stdout.strip()
    with crawler.start("run", environment=IMPATIENT) as killed:
        eventually(lambda: site.asked["/slow"] == 1)
        killed.kill()
    with crawler.start("run", environment=IMPATIENT):
        assert crawler.jobq("wait", job_id).returncode == 0

    assert attempts_of(crawler, job_id) == [("lost", "WorkerLost"), ("successful", None)]
