"""Flask-SQLAlchemy as its documentation says: `db.session` in jobs, and rows of its models as their arguments."""

import json
from typing import TYPE_CHECKING

import pytest

import jobq
from jobq.errors import ConfigurationError

if TYPE_CHECKING:
    from conftest import Application, Store

SHOP = """
import os

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
MADE = []


class Order(db.Model):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    shipped: Mapped[int] = mapped_column(default=0)


def create_app():
    app = Flask(__name__)
    parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {**parts, "application_name": "shop"}}
    db.init_app(app)
    MADE.append(app)
    return app
"""

JOBS = """
import os

from flask import current_app
from shop import MADE, Order, create_app, db

from jobq import Job, register_job, use_flask, use_sqlalchemy

use_sqlalchemy(db.session, db.Model)
use_flask(create_app if os.environ["SHOP_APP"] == "factory" else create_app())


class Work(Job):
    def __init__(self, order: Order):
        self.order = order

    def ship(self):
        self.order.shipped = Order.shipped + 1  # another job may ship it at the same time
        db.session.commit()
        assert db.session.get(Order, self.order.id) is self.order
        return [self.order.customer, current_app.name, len(MADE)]


@register_job
class Ship(Work):
    def run(self):
        return self.ship()


@register_job
class ShipAsync(Work):
    async def run(self):
        return self.ship()


@register_job
class LeaveOpen(Work):
    def run(self):
        db.session.execute(db.text("SELECT 1"))
"""

ROW = json.dumps({"order": {"$": "sqlalchemy row", "v": {"class": "shop.Order", "key": [1]}}})


@pytest.fixture
def shop(
    application: "Application", database_url: str, store: "Store", monkeypatch: pytest.MonkeyPatch
) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    monkeypatch.setenv("SHOP_APP", "factory")
    application.write("shop.py", SHOP)
    application.write("jobs.py", JOBS)
    store.execute("CREATE TABLE orders (id int PRIMARY KEY, customer text, shipped int)")
    store.execute("INSERT INTO orders VALUES (1, 'ada', 0)")
    return application


@pytest.mark.parametrize("concurrency", ["1", "10"])
@pytest.mark.parametrize("app", ["factory", "object"])
def test_a_job_has_the_session_of_its_own_application_context_and_its_row_in_it(
    shop: "Application", store: "Store", app: str, concurrency: str
) -> None:
    jobs = [store.add(job_class=f"jobs.{name}", arguments=ROW) for name in ("Ship", "ShipAsync", "LeaveOpen", "Ship")]
    environment = {"SHOP_APP": app}
    finished = shop.jobq(
        "run", "--drain", "--max-processes", "1", "--concurrency", concurrency, environment=environment
    )
    assert finished.returncode == 0, finished.stderr
    values = [store.results(job)[0].value for job in jobs]
    assert values == [["ada", "shop", 1], ["ada", "shop", 1], None, ["ada", "shop", 1]]
    assert store.rows("SELECT shipped FROM orders") == [(3,)]


def test_a_job_from_the_shell_runs_in_the_context_too(shop: "Application", store: "Store") -> None:
    shop.write(
        "more.py",
        """
        from flask import current_app
        import jobs
        from jobq import Job, register_job

        @register_job
        class Name(Job):
            def run(self):
                return current_app.name
    """,
    )
    performed = shop.jobq("perform", "more.Name", "--app", "more")
    assert performed.returncode == 0, performed.stderr
    assert "shop" in performed.stdout


def test_no_second_application_is_made_where_one_is_active(shop: "Application", store: "Store") -> None:
    store.add(job_class="jobs.Ship", arguments=ROW)
    said = shop.python("""
import shop
import jobs
from jobq.testing import run_due_jobs

with shop.create_app().app_context():
    (attempt,) = run_due_jobs(raise_errors=True)
print(attempt.value)
""").stdout
    assert said == "['ada', 'shop', 1]\n"


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes a Flask application"):
        jobq.use_flask("shop:app")  # type: ignore[arg-type]
