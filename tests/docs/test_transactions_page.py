"""docs/transactions.md says what is true: each of its examples commits with its transaction, on its own framework."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from jobq.store.callers.kinds import KINDS
from jobq.store.explanations import explanation
from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("transactions")

SHOP = """
import os

import asyncpg
import psycopg2
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

address = os.environ["JOBQ_DATABASE_URL"]
parts = conninfo_to_dict(address)
parts["database"] = parts.pop("dbname")

def connect_async():
    return asyncpg.connect(**parts)

engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(address))
async_engine = create_async_engine("postgresql+asyncpg://", async_creator=connect_async)
Session = sessionmaker(engine)

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    paid: Mapped[bool] = mapped_column(server_default="false")

Base.metadata.create_all(engine)
"""


@pytest.fixture
def shop(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    application.write("shop.py", SHOP)
    application.write("jobs.py", PAGE.code("")[0])
    return application


def shipped(store: "Store") -> list[Any]:
    """The customers of orders that have a job."""
    return store.rows(
        "SELECT customer FROM jobq.jobs JOIN orders ON orders.id = (arguments ->> 'order')::int "
        "WHERE job_class = 'jobs.Ship' ORDER BY jobs.id"
    )


def test_a_session_as_on_the_page_commits_its_order_with_its_job(shop: "Application", store: "Store") -> None:
    (use,) = PAGE.code("SQLAlchemy")
    shop.python(use)
    shop.python(use.replace("session.commit()", "session.rollback()"))
    assert shipped(store) == [("ada",)]
    assert len(store.unfinished()) == 1


def test_an_async_session_as_on_the_page_commits_its_order_with_its_job(shop: "Application", store: "Store") -> None:
    (use,) = PAGE.code("Async SQLAlchemy")
    shop.python(f"{use}\nimport asyncio\nasyncio.run(place('eve'))")
    assert shipped(store) == [("eve",)]


def test_a_pool_of_asyncpg_as_on_the_page_commits_its_order_with_its_job(shop: "Application", store: "Store") -> None:
    (use,) = PAGE.code("asyncpg")
    shop.python(
        f"{use}\nimport asyncio\nfrom shop import parts\n"
        "async def main():\n    async with asyncpg.create_pool(**parts, min_size=1) as pool: await place(pool)\n"
        "asyncio.run(main())"
    )
    assert shipped(store) == [("eve",)]


def test_a_connection_of_psycopg_as_on_the_page_commits_its_order_with_its_job(
    shop: "Application", store: "Store"
) -> None:
    (use,) = PAGE.code("psycopg")
    shop.python(f"from shop import address\n{use}")
    assert shipped(store) == [("ada",)]


SETTINGS = """
import os

from psycopg.conninfo import conninfo_to_dict

parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
INSTALLED_APPS = ["shop"]
SECRET_KEY = "x"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "views"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "PASSWORD": parts.get("password", ""),
    }
}
"""

MODELS = """
from django.db import models

class Order(models.Model):
    customer = models.TextField()

    class Meta:
        db_table = "orders"
"""

MAIN = """
import asyncio, os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()

from django.db import connection
from django.test import AsyncClient
from shop.models import Order
from views import place

with connection.schema_editor() as editor:
    editor.create_model(Order)
place("ada")

async def main():
    for address in ("/orders/eve", "/remind/1"):
        response = await AsyncClient().get(address)
        assert response.status_code == 200

asyncio.run(main())
"""


def test_views_of_django_as_on_the_page_enqueue_with_their_orders(shop: "Application", store: "Store") -> None:
    (shop.path / "shop.py").unlink()
    place, remind, place_in_view = PAGE.code("Django")
    shop.write("shop/__init__.py", "")
    shop.write("shop/models.py", MODELS)
    shop.write("settings.py", SETTINGS)
    shop.write(
        "views.py",
        f"from django.http import HttpResponse\nfrom django.urls import path\n{place}\n{remind}\n{place_in_view}\n"
        'urlpatterns = [path("orders/<str:customer>", place_in_view), path("remind/<int:order>", remind)]\n',
    )
    shop.write("main.py", MAIN)
    shop.python("-m", "main")
    assert shipped(store) == [("ada",), ("eve",), ("ada",)]


def test_a_job_as_on_the_page_ends_in_its_own_transaction(shop: "Application", store: "Store") -> None:
    (definition,) = PAGE.code("A job that ends in your transaction")
    shop.write("jobs.py", definition)
    shop.python(
        "from jobs import Pay\nfrom shop import Order, Session\n"
        "with Session.begin() as session:\n    session.add(Order(customer='ada'))\n"
        "Pay(1).run_in_worker()"
    )
    finished = shop.jobq("run", "--drain", "--max-processes", "1")
    assert finished.returncode == 0, finished.stderr
    (result,) = store.results()
    assert (result.outcome, result.value) == ("successful", {"paid": "ada"})
    assert store.rows("SELECT paid FROM orders") == [(True,)]


def test_the_page_names_every_kind_of_connection_that_is_taken() -> None:
    table = PAGE.between("| what you have", "Anything else")
    names = {name for package, name in KINDS if package != "django"} - {"PoolConnectionProxy"}
    assert [name for name in sorted(names) if f"`{name}`" not in table and name != "Connection"] == []
    assert "its pool lends out" in table


def test_the_errors_on_the_page_are_those_that_are_explained() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.text, re.M)
    states = {
        "42P01": "SchemaMissing",
        "42501": "DatabaseForbidden",
        "25006": "DatabaseReadOnly",
        "22P05": "DatabaseError",
    }
    explained = {state: explanation(state, "", where="", role="", schema="") for state in [*states, "40001", "57014"]}
    assert {state: type(error).__name__ for state, error in explained.items() if error} == states
    assert named == list(states.values())
