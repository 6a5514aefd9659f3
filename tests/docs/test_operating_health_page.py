"""docs/operating-health.md says what is true: its commands run, its metrics are told, its SQL needs what it says."""

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobq.observe.overview import COUNT_LIMIT
from jobq.runtime.health import database_figures, exposition, figures, server
from pages import docs
from probes import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Application, Store

PAGE = docs("operating-health")


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert server.CONNECTION_SECONDS == 5
    assert f"{server.MAX_CONNECTIONS} may be" in PAGE.text
    assert server.ANSWERS_PER_SECOND == 100
    assert database_figures.FRESH_SECONDS == 10
    assert figures.MAX_PAIRS == exposition.MAX_QUEUES == 100
    assert f"counted up to {COUNT_LIMIT:,}" in PAGE.text


def test_a_worker_tells_every_metric_of_the_page_also_those_of_its_jobs_and_health_finds_it(
    application: "Application", store: "Store", tmp_path: "Path", eventually: "Callable[..., Any]"
) -> None:
    application.write(
        "jobs.py",
        """
        from prometheus_client import Counter
        from jobq import Job, register_job

        SENT = Counter("mails_sent", "Mails that went out.")

        @register_job
        class Send(Job):
            def run(self):
                SENT.inc()
        """,
    )
    ((_, run, *_),) = PAGE.commands("Probes over HTTP")
    address, own = tmp_path / "health", tmp_path / "metrics"
    own.mkdir()
    for _ in range(4):
        store.add(job_class="jobs.Send")
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(own)}
    arguments = (run, "-p", "2", "--max-jobs-per-process", "1", "--health", str(address))
    with application.start(*arguments, environment=environment) as worker:
        # Each job ran in a process of its own: one worker tells of them all.
        text = eventually(lambda: "mails_sent_total 4.0" in (told := get(address, "/metrics")[1]) and told)
        named = set(re.findall(r"`(jobq_[a-z_]+)", PAGE.text)) - {"jobq_wanted_processes"}
        text = eventually(lambda: "jobq_attempts_total{" in (told := get(address, "/metrics")[1]) and told)
        assert len(named) >= 14
        families = [family.name for family in text_string_to_metric_families(text)]
        assert len(families) == len(set(families))
        assert {name for name in named if f"\n{name}" not in text} - {"jobq_attempt_duration_seconds_bucket"} == set()

        eventually(lambda: get(address, "/readyz")[0] == 200)
        for command in PAGE.commands("Probes that run a command"):
            words = [str(worker.pid) if word == "web-1/4711" else word for word in command[1:]]
            # Without a name it speaks of all workers of this user: those of other tests, too.
            seen = application.jobq(*words if words[-1].isdigit() else [*words, str(worker.pid)])
            assert seen.returncode == 0, seen.stdout + seen.stderr


def test_an_autoscaler_needs_no_more_than_the_page_gives_it(store: "Store", autoscaler: "tuple[str, str]") -> None:
    name, url = autoscaler
    (question, grants) = PAGE.code("Autoscaling", "sql")
    (scaled,) = PAGE.code("Autoscaling", "yaml")
    query = re.search(r"query: (.*)", scaled)
    assert query is not None
    assert query[1] == question.strip().rstrip(";")
    store.execute(grants.replace("autoscaler", name))
    store.add(queue="mail")
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute(question.encode()).fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM jobq.jobs")


@pytest.fixture
def autoscaler(store: "Store", database_url: str) -> "Iterator[tuple[str, str]]":
    name = f"autoscaler_{store.connection.info.dbname}"
    store.execute(f"CREATE ROLE {name} LOGIN")
    yield name, psycopg.conninfo.make_conninfo(database_url, user=name)
    store.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_questions_to_prometheus_ask_for_what_is_told() -> None:
    (asked,) = PAGE.code("Metrics", "promql")
    names = set(re.findall(r"jobq_\w+", asked))
    told = set(re.findall(r"`(jobq_[a-z_]+)", PAGE.text))
    assert {name.removesuffix("_bucket") for name in names} <= told
