"""docs/django.md says what is true: its settings, its job, its task and its test, in a project of Django."""

import re
from typing import TYPE_CHECKING

import django
import pytest

from jobq.django.task import CHANGEABLE, JobqTask
from pages import docs
from tests.application.django_project import SET_UP, Project, prepared

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("django")


def on_this_django(code: str) -> str:
    return code if django.VERSION >= (6, 0) else code.replace("from django.tasks", "from django_tasks")


@pytest.fixture
def project(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The test's project, with the settings and the modules of the page."""
    (settings,) = PAGE.code("Settings")
    file = application.path / "project" / "settings.py"
    project = Project(application)
    text = file.read_text()
    file.write_text(text[: text.index("TASKS =")].replace('    "jobq.django",\n', "") + settings)
    application.write("shop/jobs.py", PAGE.code("A job as a class")[0])
    application.write("shop/tasks.py", on_this_django(PAGE.code("A task of Django's")[0]))
    application.write("shop/tests.py", "\n".join(PAGE.code("Tests")))
    return prepared(project, database_url, monkeypatch)


def test_a_job_and_a_task_as_in_the_page_run_and_are_read_back(project: Project, store: "Store") -> None:
    _, place = PAGE.code("A job as a class")
    _, enqueue, read = PAGE.code("A task of Django's")
    printed = project.application.python(f"{SET_UP}{place}{enqueue}").stdout.split()

    ship, report = store.unfinished()
    assert printed == [str(report.id), "READY"]
    assert (ship.job_class, ship.retries) == ("shop.jobs.Ship", 3)
    assert (report.job_class, report.queue, report.unique_key) == ("shop.tasks.report", "mail", "report-ada")
    (command,) = PAGE.commands("The worker")
    assert command == ["python", "manage.py", "jobq", "run"]
    project.manage(*command[2:], "--drain", "--max-processes", "1")
    assert store.rows("SELECT shipped FROM shop_order")[0].shipped is True
    read = read.replace("result.id", repr(str(report.id)))
    printed = project.application.python(f"{SET_UP}from shop.tasks import report\n{read}").stdout.split()
    assert printed == ["SUCCESSFUL", "1"]


def test_the_tests_in_the_page_pass(project: Project) -> None:
    assert "Ran 2 tests" in project.manage("test").stderr


def test_the_page_lists_the_options_of_a_task() -> None:
    listed = dict(re.findall(r"^\| `(\w+)`( \*)? \|", PAGE.text, re.M))
    own = {name for name in JobqTask.__dataclass_fields__ if name not in JobqTask.__base__.__dataclass_fields__}
    assert listed.keys() == own
    assert {name for name, mark in listed.items() if mark} == own & CHANGEABLE


def test_the_page_says_how_to_install_it() -> None:
    assert PAGE.commands("Install") == [["pip", "install", "jobq[django]"]]
    assert PAGE.commands("Settings") == [["python", "manage.py", "migrate"]]
