"""The examples of the pages on FastAPI, Flask and SQLAlchemy, run as they stand there."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from psycopg.conninfo import conninfo_to_dict

from pages import docs
from tests.faults.servers import free_port

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]


@pytest.fixture
def shop(
    application: "Application", store: "Store", database_url: str, monkeypatch: pytest.MonkeyPatch
) -> "Application":
    parts = conninfo_to_dict(database_url)
    rest = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parts.items() if name != "dbname")
    monkeypatch.setenv("SHOP_DATABASE_URL", f"postgresql+psycopg:///{parts['dbname']}?{rest}")
    monkeypatch.setenv("DATABASE_URL", f"postgresql+asyncpg:///{parts['dbname']}?{rest}")
    monkeypatch.setenv("JOBQ_SHUTDOWN_GRACE", "5")
    for name in ("orders", '"order"'):
        store.execute(
            f"CREATE TABLE {name} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text, shipped bool)"
        )
    return application


@contextmanager
def served(shop: "Application", *command: str) -> "Iterator[subprocess.Popen[bytes]]":
    with (shop.path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=shop.path, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield server
        server.terminate()
        server.wait(40)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def posted(url: str) -> Any:
    try:
        with urlopen(url, data=b"", timeout=10) as answer:
            return json.load(answer)
    except OSError as error:
        raise AssertionError(str(error)) from None


def test_the_fastapi_application_ships_an_order_in_its_own_worker(
    shop: "Application", store: "Store", eventually: Eventually
) -> None:
    page = docs("fastapi")
    (application,), (jobs,) = page.code("The application"), page.code("The jobs")
    shop.write("shop.py", application)
    shop.write("jobs.py", jobs)
    port = free_port()
    with served(shop, "uvicorn", "shop:app", "--port", str(port)):
        job = eventually(lambda: posted(f"http://127.0.0.1:{port}/orders/ada"))["job"]
        (result,) = eventually(lambda: store.results(job))
    assert (result.outcome, result.value, result.error_message) == ("successful", "shipped", None)
    assert store.rows("SELECT customer, shipped FROM orders") == [("ada", True)]


PRICE = """
from jobq import job


@job
def price(items: int):
    return {"total": 7 * items}
"""


def test_the_other_routes_of_the_fastapi_page_work_with_a_worker_apart(
    shop: "Application", store: "Store", eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_ENV", "production")
    page = docs("fastapi")
    (application,), (jobs,) = page.code("The application"), page.code("The jobs")
    more = [block for title in ("A session for each request", "Wait for a result") for block in page.code(title)]
    (lifespan,) = page.code("In production")
    made = "app = FastAPI("
    shop.write("shop.py", application.replace(made, f"{lifespan}\n\n{made}") + "\n\n".join(more))
    shop.write("jobs.py", jobs + PRICE)
    port = free_port()
    with served(shop, "uvicorn", "shop:app", "--port", str(port)):
        placed = eventually(lambda: posted(f"http://127.0.0.1:{port}/orders?customer=ada"))
        assert store.rows("SELECT id FROM orders") == [(placed["order"],)]
        assert store.rows("SELECT FROM jobq.workers") == []
        with shop.start("run", "--max-processes", "1"):
            with urlopen(f"http://127.0.0.1:{port}/price/3", timeout=30) as answer:
                assert json.load(answer) == {"total": 21}
            eventually(lambda: store.rows("SELECT shipped FROM orders") == [(True,)])


def test_the_smallest_lifespan_and_the_options_of_a_worker_are_as_the_fastapi_page_has_them(
    shop: "Application", store: "Store"
) -> None:
    smallest, options = docs("fastapi").code("The worker")
    shop.write("smallest.py", smallest)
    shop.write("options.py", options)
    said = shop.python(
        "import asyncio, smallest, options\n"
        "async def main():\n"
        "    async with smallest.app.router.lifespan_context(smallest.app): print('within')\n"
        "asyncio.run(main())"
    ).stdout
    assert said == "within\n"


@pytest.mark.parametrize("preload", [False, True])
def test_the_flask_application_ships_an_order_in_its_own_worker(
    shop: "Application", store: "Store", eventually: Eventually, preload: bool
) -> None:
    page = docs("flask")
    (application,), (jobs,) = page.code("The application"), page.code("The jobs")
    wsgi, configuration = page.code("The worker")
    shop.write("shop.py", application)
    shop.write("jobs.py", jobs)
    shop.write("wsgi.py", wsgi.replace("jobq.worker().start()\n", "") if preload else wsgi)
    if preload:
        shop.write("gunicorn.conf.py", configuration)
    port = free_port()
    options = ["--workers", "2", "--bind", f"127.0.0.1:{port}", *(["--preload"] if preload else [])]
    with served(shop, "gunicorn", "wsgi:app", *options):
        job = eventually(lambda: posted(f"http://127.0.0.1:{port}/orders/ada"))["job"]
        (result,) = eventually(lambda: store.results(job))
    assert (result.outcome, result.value, result.error_message) == ("successful", "shipped", None)
    assert store.rows('SELECT customer, shipped FROM "order"') == [("ada", True)]
    eventually(lambda: all(row.stopped_at for row in store.rows("SELECT stopped_at FROM jobq.workers")))


JOBS = """
import more
import asyncio
from shop import Order, Session

from jobq import Job, register_job


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        return self.order.customer


@register_job
class ShipAsync(Ship):
    async def run(self):
        return self.order.customer


@register_job
class Look(Job):
    def run(self):
        import around

        list(around.Scoped.query(Order))
"""


def test_sqlalchemys_rows_are_loaded_for_both_kinds_of_jobs(shop: "Application", store: "Store") -> None:
    page = docs("sqlalchemy")
    models, both = page.code("Rows as arguments")
    (around,) = page.code("Sessions that a job leaves open")
    shop.write("shop.py", models)
    shop.write("more.py", both)
    shop.write("around.py", around)
    shop.write("jobs.py", "import around\n" + JOBS)
    store.execute("INSERT INTO orders (customer, shipped) VALUES ('ada', false)")
    row = json.dumps({"order": {"$": "sqlalchemy row", "v": {"class": "shop.Order", "key": [1]}}})
    jobs = [store.add(job_class=f"jobs.{name}", arguments=row) for name in ("Ship", "ShipAsync")]
    look = store.add(job_class="jobs.Look")
    finished = shop.jobq("run", "--drain", "--max-processes", "1")
    assert finished.returncode == 0, finished.stderr
    assert [store.results(job)[0].value for job in jobs] == ["ada", "ada"]
    assert store.results(look)[0].outcome == "successful"


def test_alembic_leaves_jobqs_tables_out_as_the_sqlalchemy_page_says(shop: "Application") -> None:
    """And without the page's filter it would drop them."""
    page = docs("sqlalchemy")
    shop.write("shop.py", page.code("Rows as arguments")[0])
    (environment,) = page.code("Alembic")
    (upgrade, migrate) = page.commands("Alembic")
    shop.python("-m", "alembic", "init", "alembic")
    shop.write("alembic/env.py", environment.replace(", include_name=include_name", ""))
    shop.python("-m", "alembic", "revision", "--autogenerate", "--rev-id", "all")
    shop.write("alembic/env.py", environment)
    (shop.path / "alembic" / "versions" / "all_.py").rename(shop.path / "unfiltered.py")
    shop.python("-m", "alembic", "revision", "--autogenerate", "--rev-id", "ours")

    unfiltered, ours = (shop.path / name for name in ("unfiltered.py", "alembic/versions/ours_.py"))
    assert "op.drop_table('workers', schema='jobq')" in unfiltered.read_text()
    assert "jobq" not in ours.read_text()
    shop.python("-m", *upgrade)
    assert shop.jobq(*migrate[1:]).returncode == 0


def test_flask_migrate_takes_the_filter_of_the_flask_page(shop: "Application", store: "Store") -> None:
    page = docs("flask")
    (application,), (migrations,) = page.code("The application"), page.code("Migrations")
    upgrade, migrate = page.commands("Migrations")
    store.execute('DROP TABLE "order"; DROP TABLE orders')
    made = "\n".join(f"    {line}" for line in migrations.splitlines())
    shop.write("shop.py", application.replace("    db.init_app(app)\n", f"    db.init_app(app)\n{made}\n"))
    for arguments in (["init"], ["migrate"]):
        shop.python("-m", *upgrade[:-1], *arguments)
    shop.python("-m", *upgrade)
    assert shop.jobq(*migrate[1:]).returncode == 0
    shop.python("-m", *upgrade[:-1], "check")
    assert store.rows('SELECT * FROM public."order"') == []
