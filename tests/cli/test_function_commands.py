"""Every command that takes a class takes a function that is a job."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
import asyncio
import jobq
from jobq import job

@job(schedule="0 9 * * *", queue="mail")
def add(first: int = 1, *rest: int) -> int:
    "Adds numbers."
    return first + sum(rest)

@job
async def who() -> int:
    before = jobq.current().job.id
    await asyncio.sleep(0.05)
    assert jobq.current().job.id == before
    return before

@job
def done_in_a_transaction(address: str) -> str:
    import psycopg
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE public.made ()")
        jobq.current().complete(connection, "made")
    return "not this"
"""


@pytest.fixture
def shop(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def test_a_function_is_enqueued_checked_run_shown_and_replayed_by_name(shop: "Application", store: "Store") -> None:
    enqueued = shop.jobq("enqueue", "jobs.add", "7", "8", "--json")
    assert json.loads(enqueued.stdout)["arguments"] == {"first": 7, "*rest": {"$": "tuple", "v": [8]}}
    assert shop.jobq("check", "--pending").returncode == 0
    assert shop.jobq("perform", "jobs.add", "1", "2", "3").stdout.strip() == "6"
    wrong = shop.jobq("enqueue", "jobs.add", "seven")
    assert (wrong.returncode, "first is 'seven', but must be int" in wrong.stderr) == (2, True)

    assert shop.jobq("run", "--drain", "--max-processes", "1").returncode == 0

    (result,) = store.results()
    assert (result.value, result.queue) == (15, "mail")
    replayed = shop.jobq("replay", str(result.id))
    assert (replayed.returncode, replayed.stdout.strip()) == (0, "15")
    assert "jobs.add" in shop.jobq("schedules").stdout


def test_coroutines_side_by_side_each_know_their_own_job(shop: "Application", store: "Store") -> None:
    ids = [store.add(job_class="jobs.who") for _ in range(6)]
    shop.jobq("run", "--drain", "--max-processes", "1", "--concurrency", "6")
    assert {result.id: result.value for result in store.results()} == {job_id: job_id for job_id in ids}


def test_a_function_ends_in_its_own_transaction(shop: "Application", store: "Store", database_url: str) -> None:
    store.add(job_class="jobs.done_in_a_transaction", arguments=json.dumps({"address": database_url}))
    shop.jobq("run", "--drain", "--max-processes", "1", environment={"JOBQ_DATABASE_URL": database_url})
    (result,) = store.results()
    assert (result.outcome, result.value) == ("successful", "made")
    assert store.rows("SELECT to_regclass('public.made') AS made")[0].made is not None
