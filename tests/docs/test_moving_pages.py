"""The guides from RQ, procrastinate and plain-jobs: each task becomes a job, and the code after the move runs."""

import ast
import re
from typing import TYPE_CHECKING

import pytest

import jobq
from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

GUIDES = ("from-rq", "from-procrastinate", "from-plain-jobs")

SHOP = """
from pathlib import Path

def mail(order, subject):
    with Path("mails").open("a") as mails:
        mails.write(f"{order} {subject}\\n")

def charge_card(order):
    return f"R{order}"
"""


def definitions(code: str) -> set[str]:
    """The functions and classes at the top of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(code).body if isinstance(node, kinds)}


@pytest.mark.parametrize("guide", GUIDES)
def test_each_task_of_a_guide_becomes_a_job(guide: str) -> None:
    page = docs(guide)
    jobs, views = page.code("After")
    assert definitions(page.code("Before")[0]) == definitions(jobs) | definitions(views)


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_names_in_jobq_exists(guide: str) -> None:
    text = docs(guide).text
    for name in re.findall(r"`jobq\.(?!django)(\w+)", text):
        assert hasattr(jobq, name) or name in ("testing", "arguments"), name


def moved(application: "Application", guide: str) -> str:
    """The application as it is after the move; the code that enqueues is a module of its own."""
    jobs, views = docs(guide).code("After")
    application.write("shop.py", SHOP)
    application.write("jobs.py", jobs)
    return views


def mails(application: "Application") -> list[str]:
    return sorted((application.path / "mails").read_text().splitlines())


def test_the_code_moved_from_rq_charges_and_mails(application: "Application", store: "Store") -> None:
    views = moved(application, "from-rq")
    application.python(f"{views}\nplace_order(7)\nfrom jobs import import_orders\nimport_orders.later(3)")
    assert application.jobq("run", "--drain").returncode == 0

    assert [(job.job_class, job.state) for job in store.unfinished()] == [("jobs.send_receipt", "scheduled")]
    assert mails(application) == ["7 receipt"]
    (charged,) = [result for result in store.results() if result.job_class == "jobs.charge"]
    assert (charged.value, charged.queue, charged.retries, charged.timeout) == ("R7", "payments", 3, 30)


def test_the_code_moved_from_procrastinate_charges_and_mails(application: "Application", store: "Store") -> None:
    views = moved(application, "from-procrastinate")
    application.write("shop.py", SHOP.replace("def charge_card", "async def charge_card"))
    application.python(f"{views}\nimport asyncio\nasyncio.run(place_order(7))")
    assert application.jobq("run", "--drain").returncode == 0

    assert [(job.job_class, job.state) for job in store.unfinished()] == [("jobs.send_receipt", "scheduled")]
    assert mails(application) == ["7 receipt"]
    assert [row.name for row in store.rows("SELECT name FROM jobq.schedules")] == ["jobs.clean_up"]


def test_the_code_moved_from_plain_jobs_is_enqueued_as_before(application: "Application", store: "Store") -> None:
    application.python(moved(application, "from-plain-jobs"))
    assert application.jobq("run", "--drain").returncode == 0

    (later,) = store.unfinished()
    assert (later.queue, later.priority, later.retries, later.unique_key) == ("slow", 10, 1, "receipt-8")
    (result,) = store.results()
    assert (result.queue, result.retries, result.unique_key) == ("mail", 3, "receipt-7")
    assert mails(application) == ["7 receipt"]
    assert [row.name for row in store.rows("SELECT name FROM jobq.schedules")] == ["jobs.DailyReport"]
