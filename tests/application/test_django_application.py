"""jobq.django in a real project: manage.py, the tables, what is found, and the project's own tests."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.application.django_project import Project, prepared

if TYPE_CHECKING:
    from conftest import Application, Store


@pytest.fixture
def project(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    return prepared(Project(application), database_url, monkeypatch)


Eventually = Callable[..., Any]

SHIP = """
from django.db import connection, transaction
from jobq import Secret
from shop.jobs import Ship
from shop.models import Order

with transaction.atomic():
    Ship(Order.objects.create(customer="ada"), Secret("open-sesame")).run_in_worker(connection=connection)
Ship(Order.objects.create(customer="eve")).run_in_worker()
"""


def test_a_worker_finds_jobs_and_tasks_of_the_installed_applications(project: Project, store: "Store") -> None:
    """Whether manage.py starts it or the shell, and whether or not a module sets Django up by itself."""
    jobs = project.path / "shop" / "jobs.py"
    project.shell(SHIP)
    jobs.write_text(f"import django\n\ndjango.setup()\n\n{jobs.read_text()}")

    log = project.work().stderr

    assert "classes=11 schedules=1" in log
    assert [(result.outcome, result.value) for result in store.results()] == [
        ("successful", "ada"),
        ("successful", "eve"),
    ]
    assert [schedule.name for schedule in store.rows("SELECT name FROM jobq.schedules")] == ["shop.tasks.every_morning"]
    project.shell(SHIP)
    environment = {"DJANGO_SETTINGS_MODULE": "", "JOBQ_DATABASE_URL": os.environ["SHOP_DATABASE_URL"]}
    finished = project.application.jobq("run", "--drain", "--max-processes", "1", environment=environment)
    assert "classes=11 schedules=1" in finished.stderr
    assert len(store.results()) == 4


def test_settings_that_fail_are_told_with_the_users_own_traceback(project: Project) -> None:
    project.application.write("shop/jobs.py", "raise LookupError('no such shelf')\n")

    finished = project.application.jobq(
        "run", "--drain", environment={"JOBQ_DATABASE_URL": os.environ["SHOP_DATABASE_URL"]}
    )
    assert finished.returncode == 2
    assert "Django cannot be set up with the settings 'project.settings'" in finished.stderr
    assert "LookupError: no such shelf" in finished.stderr
    missing = project.application.jobq(
        "perform",
        "jobs.Any",
        environment={
            "DJANGO_SETTINGS_MODULE": "nowhere.settings",
            "JOBQ_DATABASE_URL": os.environ["SHOP_DATABASE_URL"],
        },
    )
    assert missing.returncode == 2
    assert "'nowhere.settings' (DJANGO_SETTINGS_MODULE): ModuleNotFoundError" in missing.stderr


def test_manage_py_passes_its_arguments_on_and_the_password_in_the_environment(
    project: Project, store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    project.application.write(
        "project/settings_of_work.py",
        "from .settings import *\nDATABASES['default']['PASSWORD'] = \"it's \\\\ secret\"\n",
    )
    added = project.manage("jobq", "enqueue", "shop.tasks.report", "7", "--settings", "project.settings_of_work")
    assert added.returncode == 0
    (job,) = store.unfinished()
    assert (job.job_class, job.arguments, job.unique_key) == ("shop.tasks.report", {"number": 7}, "report-7")
    assert json.loads(project.manage("jobq", "list", "--json", cwd=tmp_path).stdout)[0]["id"] == job.id
    assert "There is no job 999" in project.manage("jobq", "show", "999", code=2).stderr
    assert "start one with python manage.py jobq run" in project.manage("jobq", "stats").stderr
    assert "Work the queues until stopped" in project.manage("jobq", "run", "--help").stdout
    shown = project.manage("jobq", "config", "--settings=project.settings_of_work")
    assert "secret" not in shown.stdout + shown.stderr
    called = project.shell("""
from django.core.management import CommandError, call_command
call_command("jobq", "cancel", "1")
try:
    call_command("jobq", "show", "999")
except CommandError as error:
    print(f'["{error}", {error.returncode}]')
""")
    assert called == ["jobq show ended with exit code 2.", 2]
    assert store.unfinished() == []


def test_a_worker_takes_new_code_over_in_debug_as_runserver_does(
    project: Project, store: "Store", eventually: Eventually
) -> None:
    with project.start("jobq", "run", "--max-processes", "1", environment={"SHOP_DEBUG": "1"}) as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        arguments = Path(f"/proc/{worker.pid}/cmdline").read_text().split("\0")
        assert arguments[1:-1] == ["-m", "jobq", "run", "--max-processes", "1", "--reload"]
        tasks = project.path / "shop" / "tasks.py"
        tasks.write_text(tasks.read_text().replace("return number", "return -number"))
        eventually(lambda: worker.stderr.count("application loaded") == 2)
        project.shell("from shop.tasks import report; report.enqueue(7)")
        eventually(lambda: [result.value for result in store.results()] == [-7])


def test_the_tables_come_with_migrate_into_the_chosen_database_alone(
    project: Project, store: "Store", database_url: str
) -> None:
    assert project.manage("makemigrations", "--check").stdout == "No changes detected\n"
    assert "jobq" not in project.manage("migrate").stdout
    assert project.manage("check", "--database", "default").stderr == ""
    store.execute("DROP SCHEMA jobq CASCADE")
    assert "jobq" not in project.manage("check").stderr
    (warning,) = [
        line for line in project.manage("check", "--database", "default").stderr.splitlines() if "W001" in line
    ]
    assert warning.endswith("Run: manage.py migrate")
    project.application.write(
        "project/settings_of_two.py",
        """
        from .settings import *

        DATABASES["local"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "local.sqlite3"}
        JOBQ_DATABASE_ALIAS = "local"
        """,
    )
    refused = project.manage("check", "--settings", "project.settings_of_two", code=1).stderr
    assert "(jobq.E001) jobq needs PostgreSQL, but DATABASES['local'] is sqlite" in refused
    assert "Brought jobq's tables up to date: 0001_schema" in project.manage("migrate").stdout
    project.shell("from shop.tasks import report; report.enqueue(1)")
    assert len(store.unfinished()) == 1
    assert json.loads(project.manage("dumpdata", "jobq").stdout) == []


def test_the_jobs_may_be_in_another_database_than_the_default(
    project: Project, store: "Store", monkeypatch: pytest.MonkeyPatch
) -> None:
    project.application.write(
        "project/settings_of_two.py",
        """
        from .settings import *

        DATABASES["work"] = DATABASES["default"]
        DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "local.sqlite3"}
        JOBQ_DATABASE_ALIAS = "work"
        """,
    )
    of_two = ("--settings", "project.settings_of_two")
    store.execute("DROP SCHEMA jobq CASCADE")
    assert "Brought" not in project.manage("migrate", *of_two).stdout
    assert "Brought jobq's tables" in project.manage("migrate", "--database", "work", *of_two).stdout
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project.settings_of_two")
    project.shell("""
from django.db import transaction
from shop.tasks import returns_what_is_no_json as task

with transaction.atomic(using="work"):
    task.enqueue()
    transaction.set_rollback(True, using="work")
task.enqueue()
""")
    assert len(store.unfinished()) == 1
    project.work(code=1)
    assert [result.error_type for result in store.results()] == ["TypeError"]


OWN_TESTS = """
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from jobq.store.database import default_database
from shop.jobs import Ship
from shop.models import Order
from shop.tasks import report


class Rolled(TestCase):
    def test_a_task_is_seen_in_the_transaction_of_the_test(self):
        result = report.enqueue(1)
        result.refresh()
        self.assertEqual((result.status, report.get_result(result.id)), ("READY", result))

    def test_a_unique_key_is_held_within_the_transaction(self):
        first, second, other = report.enqueue(1), report.enqueue(1), report.enqueue(2)
        self.assertEqual((first.id, first.id != other.id), (second.id, True))
        self.assertEqual([first.args, second.args], [[1], [1]])

    def test_the_test_before_has_left_nothing(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM jobq.jobs")
            self.assertEqual(cursor.fetchall(), [(0,)])


class Committed(TransactionTestCase):
    def test_a_job_goes_into_the_test_database(self):
        job = Ship(Order.objects.create(customer="ada")).run_in_worker()
        with default_database().connection() as own:
            name = own.execute("SELECT current_database(), count(*) FROM jobq.jobs").fetchone()
        self.assertEqual(name, (connection.settings_dict["NAME"], 1))

    def test_a_job_goes_into_the_test_database_again(self):
        self.test_a_job_goes_into_the_test_database()
"""


@pytest.mark.parametrize("how", [(), ("--keepdb",), ("--parallel", "2")])
def test_the_projects_own_tests_have_the_tables_in_their_databases(
    project: Project, store: "Store", how: tuple[str, ...]
) -> None:
    project.application.write("shop/tests.py", OWN_TESTS)

    # An address that is set by hand is that of real data: a test must not reach it.
    done = project.manage("test", *how, environment={"JOBQ_DATABASE_URL": os.environ["SHOP_DATABASE_URL"]})

    assert "Ran 5 tests" in done.stderr
    assert store.unfinished() == []


def test_pytest_django_has_the_tables_in_its_database(project: Project, store: "Store") -> None:
    project.application.write(
        "test_shop.py",
        """
        import pytest
        from shop.tasks import report


        @pytest.mark.django_db
        def test_a_report_is_enqueued():
            assert report.enqueue(1).status == "READY"


        @pytest.mark.django_db(transaction=True)
        def test_a_report_is_enqueued_and_kept():
            assert report.enqueue(1).status == "READY"
        """,
    )

    done = project.application.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")

    assert "2 passed" in done.stdout
    assert store.unfinished() == []
