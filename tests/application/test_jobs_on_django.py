"""Jobs on Django's connections in a real application of Django's: its transactions, its views, both its drivers."""

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

SETTINGS = """
import os, sys

if os.environ["DRIVER"] == "psycopg2":  # which Django takes only where psycopg 3 is not installed
    sys.modules["psycopg"] = None
    import django.db.backends.postgresql.base
    del sys.modules["psycopg"]

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = "x"
ROOT_URLCONF = "views"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = os.environ["DRIVER"] != "psycopg in server_side_binding"
parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
database = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": parts["dbname"],
    "USER": parts.get("user", ""),
    "HOST": parts.get("host", ""),
    "PORT": parts.get("port", ""),
    "PASSWORD": parts.get("password", ""),
    "OPTIONS": {} if USE_TZ else {"server_side_binding": True},
}
DATABASES = {"default": database, "other": {**database}}
"""

VIEWS = """
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()

from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connection, connections, transaction
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import path

from jobq import Job, enqueue_many, enqueue_many_async, register_job
from jobq.errors import EnqueueError
from jobq.store import callers


@register_job
class Ship(Job):
    def __init__(self, order: int = 0, note: str = "100% of it"):
        self.order = order
        self.note = note

    def run(self):
        pass


class Cancelled(Exception):
    pass


async def place(request, order):
    try:
        Ship(order).run_in_worker(connection=connection)
    except EnqueueError as error:
        refusal = str(error)
    await Ship(order).run_in_worker_async(connection=connection)
    await Ship(order + 1).run_in_worker_async(connection=connections["other"])
    await enqueue_many_async([Ship(order + 2) for _ in range(120)], connection=connection)
    called = []
    await callers.when_committed_async(connection, lambda: called.append("at once"))

    def within():
        with transaction.atomic():
            Ship(order + 3).run_in_worker(connection=connection)
            raise Cancelled

    try:
        await sync_to_async(within)()
    except Cancelled:
        pass
    return HttpResponse(f"{refusal} {called}")


urlpatterns = [path("orders/<int:order>", place)]
"""


@pytest.fixture(params=["psycopg", "psycopg in server_side_binding", "psycopg2"])
def shop(
    request: pytest.FixtureRequest, application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch
) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    monkeypatch.setenv("DRIVER", request.param)
    application.write("settings.py", SETTINGS)
    application.write("views.py", VIEWS)
    return application


def orders(store: "Store") -> list[int]:
    return [job.arguments["order"] for job in store.unfinished()]


def said(shop: "Application", program: str) -> Any:
    """What a program of the shop prints, as JSON."""
    shop.write("program.py", program)
    return json.loads(shop.python("-m", "program").stdout)


def test_a_job_shares_the_fate_of_the_atomic_block_it_is_in(shop: "Application", store: "Store") -> None:
    driver, called = said(
        shop,
        """
        import json
        from views import *

        called = []

        def enqueue(order):
            Ship(order).run_in_worker(connection=connection)
            callers.when_committed(connection, lambda: called.append(order))

        enqueue(1)
        with transaction.atomic():
            enqueue(2)
            try:
                with transaction.atomic():
                    enqueue(3)
                    enqueue_many([Ship(3)] * 120, connection=connection)
                    raise Cancelled
            except Cancelled:
                pass
            enqueue_many([Ship(4), Ship(4)], connection=connection)
        try:
            with transaction.atomic(using="other"):
                Ship(5).run_in_worker(connection=connections["other"])
                raise Cancelled
        except Cancelled:
            pass
        with transaction.atomic(using="other"):
            enqueue_many([Ship(6)] * 120, connection=connections["other"])
        assert connection.get_autocommit() and not connection.in_atomic_block
        print(json.dumps([type(connection.connection).__module__.split(".")[0], called]))
        """,
    )
    assert orders(store) == [1, 2, 4, 4, *[6] * 120]
    assert driver == os.environ["DRIVER"].split()[0]
    assert called == [1, 2]


def test_in_a_broken_atomic_block_djangos_own_error_comes(shop: "Application", store: "Store") -> None:
    store.execute("CREATE TABLE customers (name text UNIQUE); INSERT INTO customers VALUES ('ada')")
    errors = said(
        shop,
        """
        import json
        from views import *

        errors = []
        try:
            with transaction.atomic():
                try:
                    with transaction.atomic(savepoint=False):
                        connection.cursor().execute("INSERT INTO customers VALUES ('ada')")
                except IntegrityError as error:
                    errors.append(type(error).__name__)
                for jobs in ([Ship(1)], [Ship(2)] * 120):
                    try:
                        enqueue_many(jobs, connection=connection)
                    except Exception as error:
                        errors.append(type(error).__module__ + "." + type(error).__name__)
                assert connection.needs_rollback
        finally:
            Ship(3).run_in_worker(connection=connection)
            print(json.dumps(errors))
        """,
    )
    assert errors == ["IntegrityError", *["django.db.transaction.TransactionManagementError"] * 2]
    assert orders(store) == [3]


def test_many_jobs_in_autocommit_are_in_all_or_none(shop: "Application", store: "Store") -> None:
    store.execute("ALTER TABLE jobq.jobs ADD CHECK (arguments ->> 'order' <> '4999')")
    state = said(
        shop,
        """
        import json
        from views import *

        try:
            enqueue_many([Ship(order) for order in range(5000)], connection=connection)
        except IntegrityError as error:
            state = error.__cause__.sqlstate if hasattr(error.__cause__, "sqlstate") else error.__cause__.pgcode
        Ship(1).run_in_worker(connection=connection)
        print(json.dumps(state))
        """,
    )
    assert (state, orders(store)) == ("23514", [1])


def test_what_wraps_djangos_statements_sees_jobqs(shop: "Application", store: "Store") -> None:
    queries, wrapped = said(
        shop,
        """
        import json
        from views import *

        wrapped = []

        def wrap(execute, sql, params, many, context):
            wrapped.append("INSERT INTO" in sql)
            return execute(sql, params, many, context)

        connection.force_debug_cursor = True
        with connection.execute_wrapper(wrap):
            Ship(1).run_in_worker(connection=connection)
            enqueue_many([Ship(2)] * 120, connection=connection)
        print(json.dumps([len(connection.queries), any(wrapped)]))
        """,
    )
    assert wrapped
    assert queries >= 3


def test_an_async_view_enqueues_on_djangos_connection(shop: "Application", store: "Store") -> None:
    status, text = said(
        shop,
        """
        import asyncio, json
        from views import *

        async def main():
            response = await AsyncClient().get("/orders/10")
            return response.status_code, response.content.decode()

        print(json.dumps(asyncio.run(main())))
        """,
    )
    assert status == 200, text
    assert "which an event loop cannot use: await job.run_in_worker_async(connection=…) instead" in text
    assert text.endswith("['at once']")
    assert orders(store) == [10, 11, *[12] * 120]


def test_a_coroutine_within_an_atomic_block_takes_part_in_it(shop: "Application", store: "Store") -> None:
    """As in an async test of Django's TestCase: async_to_sync() comes back to the thread that holds the transaction."""
    called = said(
        shop,
        """
        import json
        from views import *

        called = []

        async def enqueue(order):
            await Ship(order).run_in_worker_async(connection=connection)
            await enqueue_many_async([Ship(order), Ship(order)], connection=connections["default"])
            await callers.when_committed_async(connection, lambda: called.append(order))

        for order in (1, 2):
            try:
                with transaction.atomic():
                    async_to_sync(enqueue)(order)
                    if order == 1:
                        raise Cancelled
                    assert called == []
            except Cancelled:
                pass
        print(json.dumps(called))
        """,
    )
    assert orders(store) == [2, 2, 2]
    assert called == [2]
