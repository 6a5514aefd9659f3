"""What surrounds every run."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

MIDDLEWARE = """
import contextvars

request = contextvars.ContextVar("request", default=None)

def outer(job, call_next):
    print(f"outer begins {type(job).__name__}", flush=True)
    try:
        return {"outer": call_next(job)}
    finally:
        print("outer ends", flush=True)

async def inner(job, call_next):
    token = request.set(job.job.id)
    try:
        return {"inner": await call_next(job)}
    finally:
        request.reset(token)

def broken(job, call_next):
    raise RuntimeError("the middleware is broken")

NOTHING = None
"""

JOBS = """
import asyncio
from jobq import Job, register_job
from shop_middleware import request

@register_job
class Ordinary(Job):
    def run(self):
        return request.get()

@register_job
class Coroutine(Job):
    async def run(self):
        await asyncio.sleep(0)
        return request.get()

@register_job
class Fails(Job):
    def run(self):
        raise ValueError("no good")
"""


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("shop_middleware.py", MIDDLEWARE)
    application.write("jobs.py", JOBS)
    return application


def use(app: "Application", *names: str) -> dict[str, str]:
    return {"JOBQ_MIDDLEWARE": ",".join(f"shop_middleware.{name}" for name in names)}


def test_functions_of_both_kinds_surround_jobs_of_both_kinds(app: "Application", store: "Store") -> None:
    for name in ("Ordinary", "Coroutine", "Fails"):
        store.add(job_class=f"jobs.{name}")

    finished = app.jobq("run", "--drain", "-p", "1", environment=use(app, "inner", "outer"))

    ordinary, coroutine, fails = store.results()
    assert ordinary.value == {"outer": {"inner": ordinary.id}}
    assert coroutine.value == {"outer": {"inner": coroutine.id}}
    assert (fails.outcome, fails.error_type) == ("errored", "ValueError")
    assert "jobq/runtime" not in fails.traceback
    assert finished.stdout.count("outer begins") == finished.stdout.count("outer ends") == 3


def test_what_a_middleware_raises_is_the_jobs_error(app: "Application", store: "Store") -> None:
    store.add(job_class="jobs.Ordinary")
    app.jobq("run", "--drain", environment=use(app, "broken"))
    (result,) = store.results()
    assert (result.outcome, result.error_message) == ("errored", "the middleware is broken")


def test_asynchronous_ones_surround_coroutines_side_by_side_each_in_its_own_context(
    app: "Application", store: "Store"
) -> None:
    store.add_many(*({"job_class": "jobs.Coroutine"} for _ in range(20)))
    finished = app.jobq("run", "--drain", "-p", "1", "--concurrency", "10", environment=use(app, "inner"))
    assert finished.returncode == 0, finished.stderr
    assert all(result.value == {"inner": result.id} for result in store.results())


@pytest.mark.parametrize(
    ("names", "arguments", "complaint"),
    [
        (["outer"], ["--concurrency", "2"], "must be `async def`, but outer is not"),
        (["missing"], [], "There is no function 'missing' in shop_middleware"),
        (["NOTHING"], [], "There is no function 'NOTHING' in shop_middleware"),
    ],
)
def test_what_cannot_be_middleware_is_said_at_the_start(
    app: "Application", names: list[str], arguments: list[str], complaint: str
) -> None:
    finished = app.jobq("run", "--drain", *arguments, environment=use(app, *names))
    assert finished.returncode == 2
    assert complaint in finished.stderr
    assert "Traceback" not in finished.stderr


def test_jobs_that_are_performed_by_hand_have_it_too(app: "Application") -> None:
    performed = app.jobq("perform", "jobs.Ordinary", environment=use(app, "outer", "inner"))
    assert performed.stdout.splitlines() == ["outer begins Ordinary", "outer ends", '{"outer": {"inner": 0}}']
