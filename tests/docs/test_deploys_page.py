"""docs/deploys.md does what it says, with the release before on the schema of this one."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobq.store import migrations
from pages import docs
from releases import make_release_before

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
from jobq import Job, register_job

@register_job
class Work(Job):
    def run(self):
        if self.job.attempt == 1:
            raise ValueError("the first time")
        return "done"

    def get_retries(self):
        return 1

    def get_retry_delay(self, attempt):
        return 0
"""

Eventually = Callable[..., Any]


@pytest.fixture(scope="module")
def release_before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a process has the code of the release before."""
    folder = tmp_path_factory.mktemp("release")
    make_release_before(folder)
    return {"PYTHONPATH": str(folder)}


def test_the_release_before_starts_works_and_restarts_on_the_schema_of_this_one(
    application: "Application", store: "Store", release_before: dict[str, str], eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    for turn in (1, 2):
        with application.start("run", "--max-processes", "1", environment=release_before) as worker:
            added = application.jobq("enqueue", "jobs.Work", "--unique-key", "k", environment=release_before)
            assert added.returncode == 0, added.stderr
            eventually(lambda done=turn: len(store.results()) == 2 * done)
            assert runs_code_of(worker.pid, release_before)
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0, worker.stderr
    assert [result.outcome for result in store.results()] == ["errored", "successful"] * 2
    assert store.unfinished() == []


def test_workers_of_both_releases_share_a_queue(
    application: "Application", store: "Store", release_before: dict[str, str], eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    with (
        application.start("run", "--max-processes", "1", environment=release_before) as old,
        application.start("run", "--max-processes", "1") as new,
    ):
        eventually(lambda: len(store.rows("SELECT FROM jobq.workers WHERE stopped_at IS NULL")) == 2)
        ids = [store.add(job_class="jobs.Work", retries=1) for _ in range(20)]
        eventually(lambda: not store.unfinished())
        for worker in (old, new):
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0, worker.stderr
    assert [result.id for result in store.results() if result.outcome == "successful"] == ids


def test_the_commands_of_the_page_work_in_its_order_and_on_the_way_back(
    application: "Application", store: "Store", release_before: dict[str, str]
) -> None:
    page = docs("deploys")
    store.execute("DROP SCHEMA jobq CASCADE")
    application.write("jobs.py", JOBS)
    for command in [*page.commands("The order"), *page.commands("Your own code")]:
        assert command[0] == "jobq"
        finished = application.jobq(*command[1:])
        assert finished.returncode in (0, 1 if "doctor" in command else 0), finished.stderr
    (own,) = {migration.version for migration in migrations.known("jobq")[-1:]}
    assert f"jobq, at version {own}, that of jobq" in application.jobq("doctor").stdout
    on_the_way_back = application.jobq("doctor", environment=release_before)
    assert f"jobq, at version {own}, ahead of the " in on_the_way_back.stdout
    assert "ahead of this jobq's" in application.jobq("migrate", environment=release_before).stderr
    assert "ahead of the 27 of jobq" in page.code("The way back", "text")[0]


def test_the_plan_says_whether_the_workers_that_run_can_restart(application: "Application", store: "Store") -> None:
    newest = migrations.known("jobq")[-1]
    store.execute("DELETE FROM jobq.migrations WHERE version = %s", newest.version)
    assert "workers of the release before go on, and can restart" in application.jobq("migrate", "--plan").stderr

    store.execute("DELETE FROM jobq.migrations WHERE version >= %s", newest.min_version)
    planned = application.jobq("migrate", "--plan")
    assert f"warning: releases before version {newest.min_version} do not work" in planned.stderr


def test_a_release_that_is_too_old_refuses_as_the_page_shows_it(application: "Application", store: "Store") -> None:
    store.execute("INSERT INTO jobq.migrations VALUES (9999, '9999_breaks', now(), 9999)")
    application.write("jobs.py", JOBS)
    (shown,) = docs("deploys").code("The promise", "text")
    refused = application.jobq("run", "--drain")
    assert refused.returncode == 3
    for words in ("works with releases from version", "Upgrade jobq on this machine."):
        assert words in refused.stderr
        assert words in shown


def runs_code_of(pid: int, release: dict[str, str]) -> bool:
    """Whether the process was told to take jobq from there."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return f"PYTHONPATH={release['PYTHONPATH']}".encode() in environment
