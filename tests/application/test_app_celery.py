"""A shop that was moved from Celery, as docs/from-celery.md describes it: payments, mails, an export, a clean-up."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services import Service, payment_service

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

APP = Path(__file__).parent / "apps" / "celery"

IMPATIENT = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1.5", "JOBQ_POLL_EVERY": "0.5"}


@pytest.fixture
def gateway() -> Iterator[Service]:
    with payment_service() as service:
        yield service


@pytest.fixture
def shop(
    application: "Application", gateway: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> "Application":
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("GATEWAY_URL", gateway.url)
    shutil.copytree(APP, application.path, dirs_exist_ok=True)
    application.python("import shop\nwith shop.connect() as connection: connection.execute(shop.TABLES)")
    return application


def place(shop: "Application", order: int, cents: int = 100) -> int:
    """Has the page place an order; the id of the job that charges it."""
    return int(shop.python(f"import views; print(views.place_order({order}, {cents}))").stdout)


def outcomes(store: "Store", job: int) -> list[tuple[str, str | None]]:
    return [(result.outcome, result.error_type) for result in store.results(job)]


def receipts(store: "Store") -> list[tuple[int, str | None]]:
    return [(row.id, row.receipt) for row in store.rows("SELECT id, receipt FROM orders ORDER BY id")]


def mails(store: "Store") -> list[tuple[int, str]]:
    return [tuple(row) for row in store.rows("SELECT order_id, kind FROM mails ORDER BY order_id, kind")]


def test_an_order_and_its_jobs_are_one_transaction(shop: "Application", store: "Store") -> None:
    payment = place(shop, 1)
    charge, remind = store.unfinished()
    assert (charge.id, charge.job_class, charge.queue, charge.priority) == (payment, "jobs.charge", "payments", 9)
    assert (remind.job_class, remind.queue, remind.state) == ("jobs.remind", "mail", "scheduled")
    assert (remind.expires_at - remind.run_at).days == 1

    shop.python(
        "import jobs, shop\n"
        "with shop.connect() as connection:\n"
        "    connection.execute('INSERT INTO orders VALUES (7, 100)')\n"
        "    assert jobs.charge.options(connection=connection).later(7)\n"
        "    connection.rollback()"
    )
    assert receipts(store) == [(1, None)]
    assert store.unfinished() == [charge, remind]


def test_orders_are_charged_and_fail_as_they_did_under_celery(
    shop: "Application", store: "Store", gateway: Service, eventually: Eventually
) -> None:
    paid, flaky, declined = (place(shop, order) for order in (1, 2, 3))
    with shop.start("run", "--max-processes", "1") as worker:
        assert shop.python(f"import views; print(views.receipt_of({paid}))").stdout == "R1\n"
        assert shop.jobq("wait", str(flaky)).returncode == 0
        eventually(lambda: len(mails(store)) == 2)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0

    assert outcomes(store, flaky) == [("errored", "gateway.Down"), ("successful", None)]
    assert outcomes(store, declined) == [("errored", "jobq.Fail")]
    assert receipts(store) == [(1, "R1"), (2, "R2"), (3, None)]
    assert mails(store) == [(1, "receipt"), (2, "receipt")]
    assert gateway.asked["/charges/3"] == 1
    assert "INFO:jobs:attempt 2 to charge order 2" in worker.stderr


def test_a_payment_is_made_again_after_the_worker_was_killed(
    shop: "Application", store: "Store", gateway: Service, eventually: Eventually
) -> None:
    payment = place(shop, 4)
    with shop.start("run", "--max-processes", "1", environment=IMPATIENT) as killed:
        eventually(lambda: gateway.asked["/charges/4"] == 1)
        killed.signal(signal.SIGKILL)
        killed.wait()
    with shop.start("run", "--max-processes", "1", environment=IMPATIENT):
        eventually(lambda: mails(store) == [(4, "receipt")])

    assert outcomes(store, payment) == [("lost", "WorkerLost"), ("successful", None)]
    assert receipts(store) == [(4, "R4")]


def test_an_export_that_is_out_of_time_keeps_what_it_has(shop: "Application", store: "Store") -> None:
    store.execute("INSERT INTO orders VALUES (1, 100, 'R1'), (4, 100, 'R4'), (5, 100, 'R5')")
    assert shop.jobq("enqueue", "jobs.export", "--timeout", "1").returncode == 0

    worked = shop.jobq("run", "--drain", "--max-processes", "1")

    (export,) = store.results()
    assert (export.outcome, export.value) == ("successful", ["R1"])
    assert "no time for the rest of 3 receipts" in worked.stderr


def test_the_schedule_of_beat_is_served_by_the_worker(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    store.execute("INSERT INTO carts VALUES (1, now()), (2, now() - interval '31 days')")
    with shop.start("run", "--max-processes", "1"):
        (found,) = eventually(lambda: json.loads(shop.jobq("schedules", "--json").stdout))
        assert (found["name"], found["timezone"]) == ("jobs.drop_old_carts", "Europe/Berlin")
        assert shop.jobq("schedules", "run", "jobs.drop_old_carts").returncode == 0
        (dropped,) = eventually(store.results)

    assert (dropped.outcome, dropped.value) == ("successful", 1)
    assert [row.id for row in store.rows("SELECT id FROM carts")] == [1]
