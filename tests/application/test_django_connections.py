"""Django's connections in a worker: each child outlives those that break, and holds none that it should not."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database
from tests.faults.servers import Server

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]

SETTINGS = """
import os

from psycopg.conninfo import conninfo_to_dict

parts = conninfo_to_dict(os.environ.get("SHOP_DATABASE_URL") or os.environ["JOBQ_DATABASE_URL"])

DEBUG = os.environ.get("SHOP_DEBUG") == "1"
INSTALLED_APPS = ["shop"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "PASSWORD": parts.get("password", ""),
        "CONN_MAX_AGE": eval(os.environ.get("SHOP_MAX_AGE", "0")),
        "CONN_HEALTH_CHECKS": os.environ.get("SHOP_HEALTH_CHECKS") == "1",
        "OPTIONS": {"application_name": "shop"},
    }
}
"""

MODELS = """
from django.db import models


class Order(models.Model):
    customer = models.TextField()
    shipped = models.IntegerField(default=0)
"""

JOBS = """
import asyncio
import os
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.db import connection, transaction
from django.db.models import F
from shop.models import Order

from jobq import Job, register_job


class Work(Job):
    def __init__(self, order: Order):
        self.order = order

    def get_retry_delay(self, attempt):
        return 0.5


@register_job
class Ship(Work):
    def run(self):
        Order.objects.filter(pk=self.order.pk).update(shipped=F("shipped") + 1)
        return self.order.customer


@register_job
class Sleep(Work):
    def run(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")


@register_job
class CountQueries(Work):
    def run(self):
        list(Order.objects.all())
        return len(connection.queries)


@register_job
class LeaveOpen(Work):
    manner = "atomic"

    def run(self):
        if self.manner == "atomic":
            transaction.atomic().__enter__()
        else:
            connection.cursor().execute("BEGIN")
        Order.objects.filter(pk=self.order.pk).update(shipped=100)


@register_job
class LeaveOpenInSql(LeaveOpen):
    manner = "sql"


@register_job
class ShipAsync(Work):
    async def run(self):
        await Order.objects.filter(pk=self.order.pk).aupdate(shipped=F("shipped") + 1)
        return (await Order.objects.aget(pk=self.order.pk)).customer
"""

WORKER = ("run", "--max-processes", "1")


@pytest.fixture
def shop(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    monkeypatch.setenv("JOBQ_HEARTBEAT_EVERY", "1")
    return moved_in(application)


def moved_in(application: "Application") -> "Application":
    application.write("settings.py", SETTINGS)
    application.write("jobs.py", JOBS)
    application.write("shop/__init__.py", "")
    application.write("shop/models.py", MODELS)
    create_table(application)
    return application


def create_table(application: "Application") -> None:
    application.python(
        "import jobs; from django.db import connection\n"
        "with connection.schema_editor() as editor: editor.create_model(jobs.Order)\n"
        "jobs.Order.objects.create(customer='ada')"
    )


def ship(store: "Store", job_class: str = "Ship", **options: Any) -> int:
    order = '{"order": {"$": "django row", "v": {"model": "shop.order", "key": 1, "database": "default"}}}'
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=order, **options)
    assert job_id is not None
    return job_id


def outcome(store: "Store", job_id: int) -> str | None:
    ended = store.results(job_id)
    return ended[-1].outcome if ended else None


def backends(store: "Store") -> list[Any]:
    return store.rows(
        "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'shop' AND datname = current_database()"
    )


def terminate(store: "Store") -> int:
    """Ends every connection of the shop's, and returns how many there were."""
    pids = [backend.pid for backend in backends(store)]
    for pid in pids:
        store.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
    return len(pids)


@pytest.mark.parametrize(
    ("job_class", "max_age", "health_checks"),
    [
        ("Ship", "0", "0"),
        ("Ship", "600", "0"),
        ("Ship", "None", "0"),
        ("Ship", "31536000", "1"),
        ("ShipAsync", "600", "0"),
    ],
)
def test_only_the_attempt_whose_connection_was_cut_fails(
    shop: "Application", store: "Store", eventually: Eventually, job_class: str, max_age: str, health_checks: str
) -> None:
    with shop.start(*WORKER, environment={"SHOP_MAX_AGE": max_age, "SHOP_HEALTH_CHECKS": health_checks}):
        first = ship(store, job_class)
        eventually(lambda: outcome(store, first) == "successful")
        assert bool(backends(store)) == (max_age != "0")
        terminate(store)
        second = ship(store, job_class)
        eventually(lambda: outcome(store, second) == "successful")
        cut = ship(store, "Sleep")
        eventually(lambda: "active" in [backend.state for backend in backends(store)])
        assert terminate(store) > 0
        eventually(lambda: outcome(store, cut) == "errored")
        later = [ship(store, job_class) for _ in range(3)]
        eventually(lambda: [outcome(store, job) for job in later] == ["successful"] * 3)
    assert [result.outcome for result in store.results()].count("errored") == 1


@pytest.mark.parametrize("job_class", ["Ship", "ShipAsync"])
def test_an_idle_child_closes_a_connection_past_its_age(
    shop: "Application", store: "Store", eventually: Eventually, job_class: str
) -> None:
    with shop.start(*WORKER, environment={"SHOP_MAX_AGE": "2"}):
        job = ship(store, job_class)
        eventually(lambda: outcome(store, job) == "successful")
        assert backends(store)
        eventually(lambda: not backends(store))
        again = ship(store, job_class)
        eventually(lambda: outcome(store, again) == "successful")


def test_the_list_of_queries_does_not_grow_from_job_to_job(shop: "Application", store: "Store") -> None:
    jobs = [ship(store, "CountQueries") for _ in range(3)]
    finished = shop.jobq(*WORKER, "--drain", environment={"SHOP_DEBUG": "1", "SHOP_MAX_AGE": "600"})
    assert finished.returncode == 0, finished.stderr
    counts = [store.results(job)[0].value for job in jobs]
    assert counts == [counts[0]] * 3
    assert counts[0] > 0


@pytest.mark.parametrize("job_class", ["LeaveOpen", "LeaveOpenInSql"])
def test_a_transaction_that_a_job_left_open_is_rolled_back_when_its_attempt_ends(
    shop: "Application", store: "Store", eventually: Eventually, job_class: str
) -> None:
    with shop.start(*WORKER, environment={"SHOP_MAX_AGE": "600"}) as run:
        left = ship(store, job_class)
        eventually(lambda: outcome(store, left) == "successful")
        assert not backends(store)
        after = ship(store)
        eventually(lambda: outcome(store, after) == "successful")
        assert "left a transaction open" in run.stderr
    assert store.rows("SELECT shipped FROM shop_order") == [(1,)]


def test_coroutines_side_by_side_leave_no_connection_and_outlive_cut_ones(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    with shop.start(*WORKER, "--concurrency", "10", environment={"SHOP_MAX_AGE": "600"}) as run:
        for _ in range(2):
            jobs = [ship(store, "ShipAsync") for _ in range(20)]
            eventually(lambda jobs=jobs: [outcome(store, job) for job in jobs] == ["successful"] * 20)
            eventually(lambda: not backends(store))
        assert "Traceback" not in run.stderr
    assert store.rows("SELECT shipped FROM shop_order") == [(40,)]


def test_in_a_test_the_connection_and_its_transaction_are_left_alone(shop: "Application", store: "Store") -> None:
    ship(store)
    said = shop.python("""
import jobs
from django.db import connection, transaction
from jobq.testing import run_due_jobs

with transaction.atomic():
    order = jobs.Order.objects.create(customer="eve")
    before = connection.connection
    (attempt,) = run_due_jobs()
    print(attempt.outcome, connection.connection is before, jobs.Order.objects.filter(customer="eve").exists())
    transaction.set_rollback(True)
print(jobs.Order.objects.get().shipped)
""").stdout
    assert said.split() == ["successful", "True", "True", "0"]


@contextmanager
def own_server(application: "Application") -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="jobq-django-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        yield server.create().start()
    finally:
        application.stop_all()
        server.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("max_age", ["0", "600"])
def test_a_restart_of_the_server_under_load_costs_no_attempt_but_those_that_it_cut(
    application: "Application", eventually: Eventually, monkeypatch: pytest.MonkeyPatch, max_age: str
) -> None:
    from conftest import Store

    with own_server(application) as server:
        settings = Settings(database_url=server.url)
        database = Database(settings)
        migrations.migrate(database)
        database.close()
        monkeypatch.setenv("JOBQ_DATABASE_URL", server.url)
        monkeypatch.setenv("SHOP_MAX_AGE", max_age)
        moved_in(application)
        with Store.on(settings) as store:
            jobs = [ship(store, retries=5) for _ in range(200)]
        with application.start("run", "--max-processes", "2") as run:
            eventually(lambda: ended(settings) > 20)
            stopped_at = time.time()
            server.stop()
            server.start()
            back_at = time.time()
            eventually(lambda: ended_jobs(settings) == set(jobs), timeout=60)
            with Store.on(settings) as store:
                errored = [result for result in store.results() if result.outcome != "successful"]
                assert len(store.results()) - len(errored) == len(jobs)
                store.see_tables_of_tests()
                (shipped,) = store.rows("SELECT shipped FROM shop_order")[0]
            check_cut(errored, stopped_at, back_at, run)
            assert len(jobs) <= shipped <= len(jobs) + len(errored)


def test_a_child_that_starts_while_djangos_database_is_away_uses_up_one_attempt(
    shop: "Application", store: "Store", eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's database is another than jobq's here: jobs go on to be handed out while it is away."""
    with own_server(shop) as server:
        monkeypatch.setenv("SHOP_DATABASE_URL", server.url)
        create_table(shop)
        server.stop()
        jobs = [ship(store, retries=1) for _ in range(20)]
        with shop.start(*WORKER):
            eventually(lambda: "errored" in [result.outcome for result in store.results()])
            server.start()
            eventually(lambda: [outcome(store, job) for job in jobs] == ["successful"] * 20)
        assert [result.outcome for result in store.results()].count("errored") == 1


def ended(settings: Settings) -> int:
    from conftest import Store

    with Store.on(settings) as store:
        return len(store.results())


def ended_jobs(settings: Settings) -> set[int]:
    from conftest import Store

    with Store.on(settings) as store:
        return {result.id for result in store.results() if result.outcome == "successful"}


def check_cut(errored: list[Any], stopped_at: float, back_at: float, run: "Started") -> None:
    """At most one attempt of each of the two children, and each in the time that the server was away."""
    assert len(errored) <= 2, [
        (result.id, result.started_at, result.ended_at, result.error_message) for result in errored
    ] + [run.stderr]
    for result in errored:
        assert at(result.started_at) < back_at, result.error_message
        assert at(result.ended_at) > stopped_at, result.error_message
    assert "the application does not import" not in run.stderr


def at(moment: datetime) -> float:
    return moment.timestamp()
