"""`jobq migrate --grants`: what it prints is run by the owner, and each role does its work with the commands."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest


@pytest.fixture
def roles(application: Any, connection: Any, database_url: str) -> Iterator[dict[str, dict[str, str]]]:
    """For each kind of role, the environment in which `jobq` is it."""
    names = {kind: f"{kind}_{connection.info.dbname}" for kind in ("enqueuer", "web", "worker", "reader", "operator")}
    environments = {}
    for kind, name in names.items():
        connection.execute(f"CREATE ROLE {name} LOGIN")
        printed = application.jobq("migrate", "--grants", kind, "--to", name)
        assert printed.returncode == 0, printed.stderr
        connection.execute(printed.stdout)
        environments[kind] = {"JOBQ_DATABASE_URL": psycopg.conninfo.make_conninfo(database_url, user=name)}
    yield environments
    for name in names.values():
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


def test_each_role_does_its_work_and_is_told_what_it_may_not(sample: Any, store: Any, roles: Any) -> None:
    def jobq(kind: str, *arguments: str, code: int = 0) -> Any:
        finished = sample.jobq(*arguments, environment=roles[kind])
        assert finished.returncode == code, finished.stderr
        return finished

    def refused(kind: str, *arguments: str) -> str:
        finished = sample.jobq(*arguments, environment=roles[kind])
        assert finished.returncode == 3, finished.stdout + finished.stderr
        lines = finished.stderr.splitlines()
        assert len([line for line in lines if line.startswith("jobq: error: ")]) == 1
        assert "Traceback" not in finished.stderr
        assert f"{kind}_" in lines[-1]
        assert "jobq migrate --grants" in lines[-1]
        return lines[-1]

    jobq("enqueuer", "enqueue", "jobs.Echo", "hello", "--unique-key", "one")
    jobq("enqueuer", "enqueue", "jobs.Fail", "--retries", "1")
    jobq("enqueuer", "enqueue", "jobs.Parent")
    refused("enqueuer", "list")
    refused("enqueuer", "retry", "1")
    assert "may not SELECT jobq.jobs" in refused("enqueuer", "run", "--drain")

    worked = jobq("worker", "run", "--drain", code=1)  # one job fails for good
    assert "denied" not in worked.stderr
    assert "cannot work" not in worked.stderr
    outcomes = [result.outcome for result in store.results()]
    assert outcomes.count("errored") >= 1
    assert outcomes.count("successful") >= 2
    assert store.rows("SELECT FROM jobq.metrics")
    assert "may not INSERT jobq.queues (and 1 more)" in refused("worker", "pause", "mail")

    standing = sample.jobq("wait", "1", environment=roles["web"])
    assert (standing.returncode, "successful" in standing.stdout) == (0, True), standing.stderr
    assert "--grants web" in refused("enqueuer", "wait", "1")
    refused("web", "show", "1")

    failed = next(result.id for result in store.results() if result.outcome == "errored" and not result.retried)
    for command in (["stats"], ["show", str(failed)], ["doctor"]):
        sample_run = sample.jobq(*command, environment=roles["reader"])
        assert "denied" not in sample_run.stdout + sample_run.stderr
        assert sample_run.returncode in (0, 1)
    assert "may not INSERT jobq.numbered_jobs (and 5 more)" in refused("reader", "retry", str(failed))
    assert "may not INSERT jobq.queues" in refused("reader", "pause", "mail")
    assert "--grants worker" in refused("reader", "run")

    assert "retried 1" in jobq("operator", "retry", str(failed)).stdout
    assert "undone 1" in jobq("operator", "undo").stdout
    assert "may not" in refused("operator", "run")
    assert [act.verb for act in store.rows("SELECT verb FROM jobq.audit ORDER BY id")] == ["retry", "undo"]


def test_grants_without_a_kind_are_for_all_and_need_no_database(application: Any) -> None:
    environment = {"JOBQ_DATABASE_URL": "postgresql://127.0.0.1:1/none", "JOBQ_SCHEMA": "the jobs"}
    printed = application.jobq("migrate", "--grants", environment=environment)
    assert printed.returncode == 0
    for kind in ("enqueuer", "web", "worker", "reader", "operator"):
        assert f'GRANT USAGE ON SCHEMA "the jobs" TO "jobq_{kind}";' in printed.stdout
    for wrong in (["--grants", "--to", "app"], ["--to", "app"], ["--grants", "worker", "--to", "x" * 64]):
        refused = application.jobq("migrate", *wrong, environment=environment)
        assert refused.returncode == 2, wrong
        assert "--grants" in refused.stderr or "--to" in refused.stderr
