"""The examples of the pages that have few: coroutines, limits, settings, SQL, the quick start, the console."""

import tomllib
from typing import TYPE_CHECKING

import pytest

from pages import README, docs

if TYPE_CHECKING:
    from conftest import Application, Store


def test_the_coroutine_and_the_middleware_of_the_page_run(application: "Application", store: "Store") -> None:
    page = docs("coroutines")
    (job,), (middleware,) = page.code("Coroutines"), page.code("Middleware")
    (settings,) = page.code("Middleware", "toml")
    application.write("jobs.py", job)
    application.write("shop_middleware.py", middleware)
    pyproject = application.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + settings.replace("[tool.jobq]", ""))
    store.add(job_class="jobs.Fetch", arguments='{"page": 1}')

    assert "Fetch took 0." in application.jobq("run", "--drain").stdout
    assert [result.value for result in store.results()] == ["page 1"]


def test_the_limits_of_the_page_are_those_of_the_job(application: "Application", store: "Store") -> None:
    definition, use = docs("limits").code("")
    application.write("jobs.py", definition)
    application.python(use)
    (job,) = store.unfinished()
    assert (job.timeout, job.retries) == (1200, 2)
    assert (job.expires_at - job.enqueued_at).total_seconds() == pytest.approx(3600)


def test_the_statement_of_the_reference_on_sql_enqueues(store: "Store") -> None:
    (statement,) = docs("reference/sql").code("Enqueue from SQL", "sql")
    store.execute(statement)
    (reminder,) = store.unfinished()
    assert (reminder.job_class, reminder.queue, reminder.unique_key) == ("jobs.Remind", "mail", "ada")
    assert (reminder.state, reminder.arguments) == ("scheduled", {"customer": "ada"})


def test_the_settings_of_the_reference_are_read(application: "Application") -> None:
    (settings,) = docs("reference/settings").code("", "toml")
    pyproject = application.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + settings.replace("[tool.jobq]", ""))
    ((variable, *words),) = docs("reference/settings").commands("")
    name, value = variable.split("=")
    shown = application.jobq(*words[1:], environment={name: value}).stdout
    assert ["max_processes", "8", "JOBQ_MAX_PROCESSES"] in [line.split()[:3] for line in shown.splitlines()]
    assert ["heartbeat_timeout", "120.0"] in [line.split()[:2] for line in shown.splitlines()]


def test_the_quick_start_has_the_smallest_job_of_the_readme_which_a_test_runs() -> None:
    page = docs("quickstart")
    smallest, use = README.code("The smallest job")
    assert page.code("Enqueue it") == [use]
    assert page.code("Write a job") == [f"{smallest}        return self.user_id\n"]


def test_the_keys_on_the_page_of_the_console_are_taken() -> None:
    from jobq.tui.actions import BY_NAME

    (keys,) = docs("console").code("Your own views and keys", "toml")
    assert set(tomllib.loads(keys)["keys"]) <= set(BY_NAME)
