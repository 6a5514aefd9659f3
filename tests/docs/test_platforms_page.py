"""docs/platforms.md and the files of `jobq init PLATFORM`: written as the page says, and true to each other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from jobq.cli.platforms import KILL_LATER_SECONDS, PLATFORMS
from jobq.grace import MAX_SECONDS
from pages import docs, typed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Application, Store

PAGE = docs("platforms")


def files_of(application: "Application") -> set[str]:
    found = (path for path in application.path.rglob("*") if path.is_file())
    return {str(path.relative_to(application.path)) for path in found if not path.name.startswith(".std")}


def test_the_commands_of_the_page_write_the_files_that_it_lists(application: "Application") -> None:
    before = files_of(application)
    for command in typed(*(block.text for block in PAGE.blocks() if block.language == "console")):
        done = application.jobq(*command[1:])
        assert done.returncode == 0, done.stderr
    rows = [row for row in PAGE.text.partition("## ")[0].splitlines() if row.startswith("| `")]
    listed = {place for row in rows for place in re.findall(r"`([^` ]+)`", row.partition("|")[2].partition("|")[2])}
    written = files_of(application) - before
    assert written == {place.replace("NAME", "application") for place in listed}
    for path in written:
        text = (application.path / path).read_text()
        assert "{{" not in text, path


def test_what_is_there_stays_unless_told_otherwise(application: "Application") -> None:
    application.write("Dockerfile", "FROM scratch\n")
    said = application.jobq("init", "docker").stderr
    assert "Dockerfile is there already, and is left as it is: --force replaces it" in said
    assert (application.path / "Dockerfile").read_text() == "FROM scratch\n"
    assert "replaced Dockerfile" in application.jobq("init", "docker", "--force").stderr
    assert "pip install" in (application.path / "Dockerfile").read_text()
    assert application.jobq("init", "--force").returncode == 2


def test_every_platform_kills_later_than_the_worker_cuts_off(application: "Application") -> None:
    application.write("pyproject.toml", "[tool.jobq]\nshutdown_grace = 100\n")
    for platform in PLATFORMS:
        application.jobq("init", platform)
    texts = {name: (application.path / name).read_text() for name in files_of(application)}
    kill = str(100 + KILL_LATER_SECONDS)
    assert f"stop_grace_period: {kill}s" in texts["compose.yaml"]
    assert f"TimeoutStopSec={kill}" in texts["deploy/application-worker.service"]
    assert f"terminationGracePeriodSeconds: {kill}" in texts["deploy/kubernetes.yaml"]
    told = [re.search(r"JOBQ_SHUTDOWN_GRACE\W+(?:value\W+)?100\b", text) for text in texts.values()]
    assert len([one for one in told if one]) == 3
    assert "KillMode=mixed" in texts["deploy/application-worker.service"]
    assert f"{KILL_LATER_SECONDS} seconds after" in PAGE.text
    assert f"or {MAX_SECONDS:g}." in PAGE.text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_units(application: "Application") -> None:
    application.jobq("init", "systemd")
    units = sorted(str(path) for path in (application.path / "deploy").glob("*.service"))
    seen = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )
    assert (seen.returncode, seen.stderr) == (0, "")


@pytest.fixture
def worker_role(store: "Store") -> "Iterator[str]":
    """The role of the workers. It belongs to the server, which other tests share."""
    name = f"jobq_worker_{store.connection.info.dbname}"
    store.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    store.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_after_the_step_before_a_worker_works_as_its_own_role(
    application: "Application", store: "Store", database_url: str, worker_role: str
) -> None:
    application.jobq("init", "docker")
    application.write(
        "jobs.py",
        """
        from jobq import Job, register_job

        @register_job
        class Say(Job):
            def run(self): ...
        """,
    )
    for _ in range(2):  # safe to run again
        run_step(application, {"JOBQ_DATABASE_URL": database_url, "WORKER_ROLE": worker_role})
    store.add(job_class="jobs.Say")
    own = psycopg.conninfo.make_conninfo(database_url, user=worker_role)
    environment = {"JOBQ_DATABASE_URL": own, "JOBQ_ENV": "production"}
    done = application.jobq("run", "-p", "1", "--drain", environment=environment)
    assert done.returncode == 0, done.stderr
    assert [result.outcome for result in store.results()] == ["successful"]


def run_step(application: "Application", environment: dict[str, str]) -> None:
    """deploy/migrate.sh, with this Python's programs first on the path, as in the image."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "deploy/migrate.sh"],
        cwd=application.path,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
