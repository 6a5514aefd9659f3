"""A FastAPI application with asyncpg, its worker in the web process or apart, as its maker would run it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conftest import descendants_of
from jobq.addresses import url_of
from tests.faults.servers import free_port

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

APP = Path(__file__).parent / "apps" / "fastapi"


@pytest.fixture
def shop(
    application: "Application", store: "Store", database_url: str, monkeypatch: pytest.MonkeyPatch
) -> "Application":
    """The application, with its tables, on the database that DATABASE_URL names."""
    shutil.copytree(APP, application.path, dirs_exist_ok=True)
    monkeypatch.setenv("DATABASE_URL", url_of(database_url).replace("postgresql", "postgresql+asyncpg", 1))
    application.python("-m", "shop.tables")
    return application


@contextmanager
def served(shop: "Application", eventually: Eventually) -> Iterator[httpx.Client]:
    """The application under uvicorn, and a client of it."""
    port = free_port()
    with (shop.path / "web.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "shop.web:app", "--port", str(port)],
            cwd=shop.path,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
            eventually(lambda: is_up(client))
            yield client
        server.terminate()
        server.wait(40)
    finally:
        for pid in [*descendants_of(server.pid), server.pid] if server.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        server.wait()


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/openapi.json").is_success
    except httpx.TransportError as error:
        raise AssertionError(str(error)) from None


def place(web: httpx.Client, **order: Any) -> tuple[int, int]:
    """Places an order; the ids of the order and of its job."""
    answer = web.post("/orders", json={"customer": "ada", **order})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.json()["job"]


def status(web: httpx.Client, order: int) -> tuple[str, int]:
    found = web.get(f"/orders/{order}").json()
    return found["status"], found["tries"]


@pytest.mark.parametrize("concurrency", ["1", "10"])
def test_a_fastapi_application_runs_its_jobs_in_a_worker_of_its_own(
    shop: "Application",
    store: "Store",
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    concurrency: str,
) -> None:
    monkeypatch.setenv("JOBQ_CONCURRENCY", concurrency)
    with served(shop, eventually) as web:
        order, job = place(web)
        web.patch(f"/orders/{order}", json={"label": "L1", "address": "Side Street 2"})
        (shipped,) = eventually(lambda: store.results(job))
        assert (shipped.outcome, shipped.value) == ("successful", "L1 to Side Street 2")
        assert status(web, order) == ("shipped", 1)

        assert web.get("/price/3").json() == {"total": 21}

        assert web.post("/orders", json={"customer": "bob", "items": 0}).status_code == 422
        assert store.rows("SELECT customer FROM orders") == [("ada",)]
        assert store.unfinished() == []

        order, job = place(web, address="")
        first, second = eventually(lambda: rows if len(rows := store.results(job)) == 2 else None)
        assert [(one.outcome, one.retried) for one in (first, second)] == [("errored", True), ("errored", False)]
        assert first.error_message == "ada has no address"
        web.patch(f"/orders/{order}", json={"label": "L2", "address": "High Street 3"})
        assert shop.jobq("retry", str(job), "--yes").returncode == 0
        eventually(lambda: status(web, order) == ("shipped", 3))


def test_a_job_of_a_fastapi_application_runs_again_when_its_worker_is_killed(
    shop: "Application", store: "Store", eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_ENV", "production")
    monkeypatch.setenv("JOBQ_HEARTBEAT_EVERY", "0.5")
    monkeypatch.setenv("JOBQ_HEARTBEAT_TIMEOUT", "2")
    with served(shop, eventually) as web:
        order, job = place(web)
        assert store.rows("SELECT FROM jobq.workers") == []
        with shop.start("run", "--max-processes", "1"):
            eventually(lambda: status(web, order) == ("placed", 1))
        assert store.job(job).state == "running"

        web.patch(f"/orders/{order}", json={"label": "L1"})
        with shop.start("run", "--max-processes", "1"):
            lost, shipped = eventually(lambda: rows if len(rows := store.results(job)) == 2 else None)
    assert (lost.outcome, lost.error_type) == ("lost", "WorkerLost")
    assert (shipped.outcome, shipped.attempt, shipped.value) == ("successful", 2, "L1 to Main Street 1")
    assert store.rows("SELECT status, tries FROM orders") == [("shipped", 2)]


def test_the_shell_takes_a_row_of_an_async_sessionmaker_wherever_it_takes_a_job(
    shop: "Application", store: "Store"
) -> None:
    store.execute("INSERT INTO orders VALUES (1, 'ada', 'Main Street 1', 'L1', 'placed', 0)")

    enqueued = shop.jobq("enqueue", "shop.jobs.Ship", "1")
    gone = shop.jobq("enqueue", "shop.jobs.Ship", "2")
    assert shop.jobq("run", "--drain", "--max-processes", "1").returncode == 0
    (shipped,) = store.results()
    again = [shop.jobq("perform", "shop.jobs.Ship", "1"), shop.jobq("replay", str(shipped.id))]

    edited = shop.jobq("retry", str(shipped.id), "--arguments", json.dumps(shipped.arguments))

    assert shipped.id == int(enqueued.stdout)
    assert store.job(int(edited.stdout)).arguments == shipped.arguments
    assert shipped.value == "L1 to Main Street 1"
    assert [done.returncode for done in again] == [0, 0], again
    assert store.rows("SELECT status, tries FROM orders") == [("shipped", 3)]
    assert gone.returncode == 2
    assert "shop.models.Order 2 is gone" in gone.stderr
    assert "Traceback" not in gone.stderr
