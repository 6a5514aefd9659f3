"""docs/from-celery.md says what is true: its code runs, and is that of tests/application/apps/celery."""

import ast
import dataclasses
import re
import shutil
from collections.abc import Iterator
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

import jobq
from jobq.settings import Settings
from pages import ROOT, docs
from services import payment_service

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("from-celery")
APP = ROOT / "tests" / "application" / "apps" / "celery"

JOBS, VIEWS = PAGE.code("After")

CELERY = "class app:\n    task = staticmethod(lambda function: function)\n"
"""In place of Celery's decorator, which leaves a function that can be called."""


@pytest.fixture
def shop(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Application]":
    """The application, with the code as it stands on the page."""
    shutil.copytree(APP, application.path, dirs_exist_ok=True)
    application.write("jobs.py", JOBS)
    application.write("views.py", VIEWS)
    monkeypatch.setenv("DATABASE_URL", database_url)
    application.python("import shop\nwith shop.connect() as connection: connection.execute(shop.TABLES)")
    with payment_service() as gateway:
        monkeypatch.setenv("GATEWAY_URL", gateway.url)
        yield application


def test_the_code_on_the_page_is_that_of_the_application() -> None:
    assert (APP / "jobs.py").read_text() == JOBS
    assert (APP / "views.py").read_text() == VIEWS


def functions(code: str, decorator: str) -> list[str]:
    """The names of the functions that a decorator stands above, in their order."""
    return [
        node.name
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith(decorator) for one in node.decorator_list)
    ]


def test_each_task_of_the_page_becomes_a_job() -> None:
    tasks, _ = PAGE.code("Before")
    assert functions(tasks, "app.task") == functions(JOBS, "job")


def test_the_moved_code_charges_an_order(shop: "Application", store: "Store") -> None:
    with shop.start("run", "--max-processes", "1"):
        assert shop.python("import views; print(views.receipt_of(views.place_order(1, 100)))").stdout == "R1\n"
    assert [row.receipt for row in store.rows("SELECT receipt FROM orders")] == ["R1"]


def test_a_celery_task_may_call_the_job_or_hand_itself_on(shop: "Application", store: "Store") -> None:
    text = PAGE.text.partition("## Move without a gap")[2]
    call, hand_on = (dedent(code) for code in re.findall(r"^ +```python\n(.*?)^ +```$", text, re.M | re.S))

    shop.python(f"import jobs\n{CELERY}\n{call}\nsend_receipt(1)")
    assert [tuple(row) for row in store.rows("SELECT * FROM mails")] == [(1, "receipt")]
    assert store.unfinished() == []

    shop.python(f"import jobs\n{CELERY}\n{hand_on}\nremind(1)")
    assert [job.job_class for job in store.unfinished()] == ["jobs.remind"]
    assert len(store.rows("SELECT * FROM mails")) == 1


def test_the_commands_of_the_page_run(shop: "Application", store: "Store") -> None:
    for command in PAGE.commands("What has no equivalent yet"):
        worked = shop.jobq(*command[1:], "--drain")
        assert worked.returncode == 0, worked.stderr
    commands = [line.split()[1:] for line in re.findall(r"^ *\$ (jobq .+)$", PAGE.text.partition("## Move")[2], re.M)]
    assert [command[0] for command in commands] == ["schedules", "doctor", "failures", "schedules"]
    codes = [shop.jobq(*command).returncode for command in commands]
    assert codes == [0, 1, 0, 0], "the doctor misses a worker"
    assert [job.job_class for job in store.unfinished()] == ["jobs.drop_old_carts"]


def test_what_the_table_names_exists() -> None:
    right = [row.rpartition(" | ")[2] for row in re.findall(r"^\| .+ \|$", PAGE.text, re.M)]
    text = "\n".join(right)
    settings = {field.name for field in dataclasses.fields(Settings)}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:=\d+)?`", text)) - {"unique_key", "retry_delay"}
    assert {"cancel_grace", "job_history_days", "max_jobs_per_process"} <= named <= settings
    assert set(re.findall(r"`(?:raise |except )?([A-Z]\w+)", text)) >= {"Cancel", "Defer", "Fail", "JobTimedOut"}
    for name in {*re.findall(r"`(?:raise |except )?([A-Z]\w+)", text), *re.findall(r"jobq\.(\w+)", text)}:
        assert hasattr(jobq, name) or name in ("Exception", "testing"), name
