"""Schedules under real workers: what the code declares reaches the database, and ticks that are due become jobs."""

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]

JOBS = """
    from jobq import Job, Schedule, register_job

    @register_job
    class Report(Job):
        schedules = [
            Schedule.from_cron("{expression}", name=name, arguments={{"team": name}}, timezone="Asia/Tokyo")
            for name in ("ops", "dev")
        ]

        def __init__(self, team):
            self.team = team

        def run(self):
            return self.team

        def get_queue(self):
            return f"reports-{{self.team}}"
"""


@pytest.fixture
def scheduled(application: "Application") -> "Application":
    declare(application, "0 9 1 1 *")
    return application


def declare(application: "Application", expression: str) -> None:
    application.write("jobs.py", JOBS.format(expression=expression))


@contextmanager
def working(application: "Application", count: int = 1) -> "Iterator[list[Started]]":
    with ExitStack() as stack:
        yield [stack.enter_context(application.start("run", "--max-processes", "1")) for _ in range(count)]


def make_due(store: "Store") -> None:
    """As if a year had passed while nothing ran: the tick of New Year is owed."""
    store.execute("UPDATE jobq.schedules SET next_at = next_at - interval '1 year'")


def names(store: "Store", condition: str = "true") -> list[str]:
    return [row.name for row in store.rows(f"SELECT name FROM jobq.schedules WHERE {condition} ORDER BY name")]


def test_what_the_code_declares_is_kept_with_all_that_its_ticks_enqueue(
    scheduled: "Application", store: "Store", eventually: Eventually
) -> None:
    with working(scheduled):
        eventually(lambda: len(names(store)) == 2)
        dev, ops = store.rows("SELECT * FROM jobq.schedules ORDER BY name")

    assert (dev.name, ops.name) == ("jobs.Report:dev", "jobs.Report:ops")
    assert (ops.job_class, ops.arguments, ops.queue) == ("jobs.Report", {"team": "ops"}, "reports-ops")
    assert (ops.expression, ops.timezone) == ("0 9 1 1 *", "Asia/Tokyo")
    assert (ops.next_at.month, ops.next_at.day) == (1, 1)


def test_ticks_that_were_missed_while_nothing_ran_run_once_with_three_workers(
    scheduled: "Application", store: "Store", eventually: Eventually
) -> None:
    with working(scheduled):
        eventually(lambda: len(names(store)) == 2)
    make_due(store)

    with working(scheduled, 3) as workers:
        eventually(lambda: all("application loaded" in worker.stderr for worker in workers))
        eventually(lambda: len(store.results()) == 2)

    assert sorted(result.value for result in store.results()) == ["dev", "ops"]
    assert len(store.rows("SELECT * FROM jobq.ticks")) == 2
    assert sum(worker.stderr.count("verdict=enqueued") for worker in workers) == 2


def test_a_schedule_that_the_code_drops_is_marked_and_fires_no_more(
    scheduled: "Application", store: "Store", eventually: Eventually
) -> None:
    with working(scheduled) as (worker,):
        eventually(lambda: len(names(store)) == 2)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    make_due(store)
    scheduled.write("jobs.py", JOBS.format(expression="0 9 1 1 *").replace('("ops", "dev")', '("ops",)'))

    with working(scheduled) as (worker,):
        assert eventually(lambda: names(store, "undeclared_at IS NOT NULL")) == ["jobs.Report:dev"]
        eventually(lambda: store.results())
        eventually(lambda: "schedule no longer declared name=jobs.Report:dev" in worker.stderr)

    assert [result.value for result in store.results()] == ["ops"]


def test_in_a_rolling_deploy_the_new_code_counts_while_old_workers_still_run(
    scheduled: "Application", store: "Store", eventually: Eventually
) -> None:
    with working(scheduled) as (old,):
        eventually(lambda: len(names(store)) == 2)
        declare(scheduled, "30 9 1 1 *")
        with working(scheduled) as (new,):
            eventually(lambda: len(names(store, "expression = '30 9 1 1 *'")) == 2)
            old.kill()
            make_due(store)
        assert new.stderr.count("schedule declared") == 2
    assert old.stderr.count("schedule declared") == 2


def test_a_worker_that_was_declared_dead_declares_its_schedules_again(
    scheduled: "Application", store: "Store", eventually: Eventually
) -> None:
    environment = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "3"}
    with scheduled.start("run", environment=environment):
        (first,) = eventually(lambda: store.rows("SELECT * FROM jobq.workers WHERE schedules_at IS NOT NULL"))
        store.declare_dead(first.id)
        (second,) = eventually(
            lambda: store.rows("SELECT * FROM jobq.workers WHERE schedules_at IS NOT NULL AND stopped_at IS NULL")
        )

    assert second.id != first.id
    assert (second.schedules, second.schedules_at) == (first.schedules, first.schedules_at)


def test_a_schedule_that_cannot_be_ends_the_start_with_its_reason(scheduled: "Application") -> None:
    declare(scheduled, "0 25 * * *")

    finished = scheduled.jobq("run")

    assert finished.returncode == 2
    assert "hour is '25'" in finished.stderr
    assert "jobs.py" in finished.stderr


def test_a_schedule_in_pyproject_that_cannot_be_ends_the_start_with_its_reason(scheduled: "Application") -> None:
    with (scheduled.path / "pyproject.toml").open("a") as file:
        file.write('[tool.jobq.schedules]\nnight = { cron = "0 3 * * *", job = "jobs.Repot" }\n')

    finished = scheduled.jobq("run")

    assert finished.returncode == 2
    assert "night" in finished.stderr
    assert "jobs.Report" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_command_in_pyproject_runs_as_a_job(scheduled: "Application", store: "Store", eventually: Eventually) -> None:
    with (scheduled.path / "pyproject.toml").open("a") as file:
        file.write('[tool.jobq.schedules]\nhello = { cron = "0 3 1 1 *", command = "echo $((6 * 7)); pwd" }\n')
    with working(scheduled):
        eventually(lambda: "hello" in names(store))

        finished = scheduled.jobq("schedules", "run", "hello")

        (result,) = eventually(lambda: store.results())
    assert finished.returncode == 0, finished.stderr
    assert (result.job_class, result.arguments) == ("command.hello", {})
    assert result.value == {"exit_code": 0, "output": f"42\n{scheduled.path}\n"}


def test_the_schedules_of_the_page_are_declared_and_its_commands_do_what_they_say(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
    section = re.search(r"^## Declare a schedule\n(.*?)^## ", page, re.M | re.S)
    assert section
    code = dict(re.findall(r"^```(\w+)\n(.*?)^```$", section[1], re.M | re.S))
    assert set(code) == {"python", "toml", "console"}
    application.write("jobs.py", code["python"])
    with (application.path / "pyproject.toml").open("a") as file:
        file.write(code["toml"])

    with working(application):
        eventually(lambda: len(names(store)) == 5)
        for line in code["console"].splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            finished = application.jobq(*words[1:])
            assert finished.returncode == 0, finished.stderr
        (result,) = eventually(lambda: store.results())

    assert names(store) == ["backup", "early", "jobs.CleanUp", "jobs.SendReport:all", "jobs.SendReport:ops"]
    assert (result.job_class, result.outcome) == ("jobs.CleanUp", "successful")
    assert names(store, "paused_at IS NOT NULL") == []
