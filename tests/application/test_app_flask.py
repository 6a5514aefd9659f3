"""A Flask application with Flask-SQLAlchemy on psycopg2, Flask-Migrate and gunicorn: deployed, served and killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pages import docs
from tests.faults.servers import free_port

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

FLASK = Path(__file__).parent / "apps" / "flask"
IMPATIENT = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1", "JOBQ_POLL_EVERY": "0.2"}

MIGRATE = """
from flask_migrate import init, migrate, upgrade
from shop import create_app

with create_app().app_context():
    init()
    migrate(message="orders")
    upgrade()
"""


class Shop:
    """The application in its folder, as it is deployed: both kinds of migrations first."""

    def __init__(self, application: "Application") -> None:
        self.application = application
        self.port = free_port()
        application.python(MIGRATE)
        assert application.jobq("migrate").returncode == 0

    def flask(self, *arguments: str) -> str:
        done = self.application.python("-m", "flask", "--app", "shop", *arguments)
        return done.stdout + done.stderr

    @contextmanager
    def served(self, module: str) -> Iterator[None]:
        """By gunicorn, with two processes."""
        options = ("--workers", "2", "--bind", f"127.0.0.1:{self.port}", "--no-control-socket")
        with (self.application.path / "web.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", f"{module}:app", *options],
                cwd=self.application.path,
                env=os.environ | IMPATIENT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
            server.terminate()
            server.wait(40)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()

    def ask(self, path: str, body: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Its status and its answer; fails while nobody listens."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, None
        except OSError as error:
            raise AssertionError(str(error)) from None

    def place(self, **order: str) -> tuple[int, Any]:
        return self.ask("/orders", order)


def sqlalchemy_url(database_url: str) -> str:
    parts = conninfo_to_dict(database_url)
    rest = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parts.items() if name != "dbname")
    return f"postgresql+psycopg2:///{parts['dbname']}?{rest}"


@pytest.fixture
def shop(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DATABASE_URL", sqlalchemy_url(database_url))
    copytree(FLASK, application.path, dirs_exist_ok=True)
    application.write("pyproject.toml", "[tool.jobq]\n")
    return Shop(application)


def test_orders_are_shipped_and_receipts_sent_by_a_worker_of_its_own(
    shop: Shop, store: "Store", eventually: Eventually
) -> None:
    with shop.served("wsgi"), shop.application.start("run", "--max-processes", "1", environment=IMPATIENT):
        status, ada = eventually(lambda: shop.place(customer="ada"))
        assert status == 201
        declined, _ = shop.place(customer="bob", card="declined")
        _, flaky = shop.place(customer="flaky")
        eventually(lambda: shop.ask(f"/orders/{ada['order']}")[1] == shipped("ada"))
        eventually(lambda: shop.ask(f"/orders/{flaky['order']}")[1] == shipped("flaky"))

    assert declined == 400
    assert store.unfinished() == []
    assert store.rows("SELECT customer FROM orders ORDER BY id") == [("ada",), ("flaky",)]
    ended = [(result.job_class, result.outcome, result.error_type) for result in store.results()]
    assert sorted(ended, key=str) == [
        ("shop.jobs.Ship", "successful", None),
        ("shop.jobs.Ship", "successful", None),
        ("shop.jobs.send_receipt", "errored", "ConnectionError"),
        ("shop.jobs.send_receipt", "successful", None),
        ("shop.jobs.send_receipt", "successful", None),
    ]


def shipped(customer: str) -> dict[str, Any]:
    return {"customer": customer, "status": f"shipped to {customer}", "receipts": 1}


def test_a_worker_beside_gunicorn_ships_an_order_and_ends_with_it(
    shop: Shop, store: "Store", eventually: Eventually
) -> None:
    with shop.served("wsgi_with_worker"):
        _, ada = eventually(lambda: shop.place(customer="ada"))
        eventually(lambda: shop.ask(f"/orders/{ada['order']}")[1] == shipped("ada"))
        assert len(store.rows("SELECT id FROM jobq.workers")) == 1
    eventually(lambda: all(row.stopped_at for row in store.rows("SELECT stopped_at FROM jobq.workers")))


def test_an_order_is_packed_again_after_its_worker_was_killed(
    shop: Shop, store: "Store", eventually: Eventually
) -> None:
    (order,) = store.rows(
        "INSERT INTO orders (customer, status, receipts, packed) VALUES ('ada', 'placed', 0, 0) RETURNING id"
    )
    shop.application.jobq("enqueue", "shop.jobs.pack", str(order.id))
    with shop.application.start("run", "--max-processes", "1", environment=IMPATIENT) as worker:
        eventually(lambda: store.rows("SELECT 1 FROM orders WHERE packed = 1"))
        worker.signal(signal.SIGKILL)
        worker.wait()
    shop.application.write("box", "")

    with shop.application.start("run", "--max-processes", "1", environment=IMPATIENT):
        lost, done = eventually(lambda: len(found := store.results()) == 2 and found)
    assert (lost.outcome, done.outcome, done.value) == ("lost", "successful", 2)
    assert store.rows("SELECT packed FROM orders") == [(2,)]


def test_autogenerate_does_not_see_jobqs_tables(shop: Shop) -> None:
    shop.flask("db", "check")  # fails where a migration would have anything to do


def test_the_tests_of_the_page_pass(
    shop: Shop, server: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They make the tables themselves, in a database of their own."""
    name = f"{conninfo_to_dict(database_url)['dbname']}_flask"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    try:
        url = psycopg.conninfo.make_conninfo(database_url, dbname=name)
        monkeypatch.setenv("TEST_DATABASE_URL", sqlalchemy_url(url))
        fixtures, tests = docs("testing").code("Flask-SQLAlchemy")
        shop.application.write("conftest.py", fixtures)
        shop.application.write("test_orders.py", tests)
        said = shop.application.python("-m", "pytest", "-q", "-p", "no:cacheprovider").stdout
        assert "2 passed" in said
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]
