"""docs/deploys.md does what it says, with the release before on the schema of this one."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobq.grace import PLATFORMS, grace_on
from jobq.runtime.stop_signals import NAMES
from pages import docs
from releases import Releases, make_next_release, make_releases

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
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return make_releases(tmp_path_factory.mktemp("release"))


def test_the_release_before_starts_works_and_restarts_on_the_schema_of_the_next(
    application: "Application", store: "Store", releases: Releases, eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    application.jobq("migrate", environment=releases.after)
    assert store.rows("SELECT max(version) FROM jobq.migrations") == [(releases.version_after,)]
    for turn in (1, 2):
        with application.start("run", "--max-processes", "1", environment=releases.before) as worker:
            added = application.jobq("enqueue", "jobs.Work", "--unique-key", "k", environment=releases.before)
            assert added.returncode == 0, added.stderr
            eventually(lambda done=turn: len(store.results()) == 2 * done)
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0, worker.stderr
    assert [result.outcome for result in store.results()] == ["errored", "successful"] * 2
    assert store.unfinished() == []


def test_workers_of_both_releases_share_a_queue(
    application: "Application", store: "Store", releases: Releases, eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    application.jobq("migrate", environment=releases.after)
    with (
        application.start("run", "--max-processes", "1", environment=releases.before) as old,
        application.start("run", "--max-processes", "1", environment=releases.after) as new,
    ):
        assert runs_code_of(old.pid, releases.before)
        assert runs_code_of(new.pid, releases.after)
        eventually(lambda: len(store.rows("SELECT FROM jobq.workers WHERE stopped_at IS NULL")) == 2)
        ids = [store.add(job_class="jobs.Work", retries=1) for _ in range(20)]
        eventually(lambda: not store.unfinished())
        for worker in (old, new):
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0, worker.stderr
    assert [result.id for result in store.results() if result.outcome == "successful"] == ids


def test_the_commands_of_the_page_work_in_its_order_and_on_the_way_back(
    application: "Application", store: "Store", releases: Releases
) -> None:
    page = docs("deploys")
    store.execute("DROP SCHEMA jobq CASCADE")
    application.write("jobs.py", JOBS)
    for command in [*page.commands("The order"), *page.commands("Your own code")]:
        assert command[0] == "jobq"
        finished = application.jobq(*command[1:], environment=releases.after)
        assert finished.returncode in (0, 1 if "doctor" in command else 0), finished.stderr
    own, before = releases.version_after, releases.version_before
    assert f"jobq, at version {own}, that of jobq" in application.jobq("doctor", environment=releases.after).stdout
    on_the_way_back = application.jobq("doctor", environment=releases.before)
    assert f"jobq, at version {own}, ahead of the {before} of jobq" in on_the_way_back.stdout
    assert "ahead of this jobq's" in application.jobq("migrate", environment=releases.before).stderr
    assert "ahead of the 27 of jobq" in page.code("The way back", "text")[0]


def test_the_plan_says_whether_the_workers_that_run_can_restart(
    application: "Application", store: "Store", tmp_path: Path
) -> None:
    migration = make_next_release(tmp_path)
    release = {"PYTHONPATH": str(tmp_path)}
    planned = application.jobq("migrate", "--plan", environment=release)
    assert "workers of the previous release keep working, and can restart" in planned.stderr

    version = int(migration.name[:4])
    migration.write_text(f"-- min_version: {version}\nSELECT 1;\n")
    planned = application.jobq("migrate", "--plan", environment=release)
    assert f"warning: releases before version {version} do not work" in planned.stderr


def test_a_release_that_is_too_old_refuses_as_the_page_shows_it(application: "Application", store: "Store") -> None:
    store.execute("INSERT INTO jobq.migrations VALUES (9999, '9999_breaks', now(), 9999)")
    application.write("jobs.py", JOBS)
    (shown,) = docs("deploys").code("The promise", "text")
    refused = application.jobq("run", "--drain")
    assert refused.returncode == 3
    for words in ("works with releases from version", "Upgrade jobq on this machine."):
        assert words in refused.stderr
        assert words in shown


def test_the_graces_of_the_page_are_those_of_the_platforms() -> None:
    page = docs("deploys")
    rows = re.findall(r"^\| ([^|]+) \| (\d+) s \| (\d+) s \|$", page.text, re.M)
    told = {name: (float(kill), float(grace)) for names, kill, grace in rows for name in names.split(", ")}
    assert told == {platform.name: (platform.seconds, grace_on(platform)) for platform in PLATFORMS}
    for language in ("yaml", "ini"):
        (text,) = page.code("The time to stop", language)
        seconds, grace = map(int, re.findall(r"\b1[12]0\b", text))
        assert grace < seconds


def test_every_signal_of_the_page_is_a_stop() -> None:
    first = docs("deploys").between("## The time to stop", "Running jobs then")
    assert set(re.findall(r"SIG[A-Z0-9]+", first)) == {*NAMES, "SIGRTMIN"}


def runs_code_of(pid: int, release: dict[str, str]) -> bool:
    """Whether the process was told to take jobq from there. One of two releases is told of, the other is at hand."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return all(f"{name}={value}".encode() in environment for name, value in release.items())
