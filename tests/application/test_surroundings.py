"""What an application puts around its attempts: arguments are loaded within it, and whatever happens it is left."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

import jobq
from jobq.errors import ConfigurationError

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
from contextlib import contextmanager
from contextvars import ContextVar

import jobq
from jobq import Job, register_job

DEPTH = ContextVar("depth", default=())
LEFT = []


@jobq.around_attempts
@contextmanager
def outer():
    token = DEPTH.set((*DEPTH.get(), "outer"))
    try:
        yield
    finally:
        LEFT.append("outer")
        DEPTH.reset(token)


@jobq.around_attempts
@contextmanager
def inner():
    token = DEPTH.set((*DEPTH.get(), "inner"))
    try:
        yield
    finally:
        LEFT.append("inner")
        DEPTH.reset(token)


class Base(Job):
    def __init__(self, fails: bool = False):
        self.seen = list(DEPTH.get())
        self.fails = fails

    def work(self):
        if self.fails:
            raise ValueError("no")
        return [self.seen, list(DEPTH.get())]


@register_job
class Ordinary(Base):
    def run(self):
        return self.work()


@register_job
class Coroutine(Base):
    async def run(self):
        return self.work()


@register_job
class Left(Job):
    def run(self):
        return list(LEFT)
"""


@pytest.mark.parametrize("concurrency", ["1", "10"])
def test_arguments_are_loaded_and_jobs_run_within_the_context_managers(
    application: "Application", store: "Store", concurrency: str
) -> None:
    application.write("jobs.py", JOBS)
    fails = json.dumps({"fails": True})
    for name, arguments in (("Ordinary", "{}"), ("Coroutine", "{}"), ("Ordinary", fails), ("Coroutine", fails)):
        store.add(job_class=f"jobs.{name}", arguments=arguments)
    application.jobq("run", "--drain", "--max-processes", "1", "--concurrency", concurrency)
    within = ["outer", "inner"]
    assert [result.value for result in store.results()] == [[within, within], [within, within], None, None]
    assert {result.error_type for result in store.results()} == {None, "ValueError"}


def test_they_are_left_in_the_opposite_order_also_after_an_error(application: "Application", store: "Store") -> None:
    application.write("jobs.py", JOBS)
    store.add(job_class="jobs.Ordinary", arguments=json.dumps({"fails": True}))
    left = store.add(job_class="jobs.Left")
    application.jobq("run", "--drain", "--max-processes", "1")
    assert store.results(left)[0].value == ["inner", "outer"]


def test_one_that_fails_to_enter_is_an_error_of_the_attempt(application: "Application", store: "Store") -> None:
    application.write(
        "jobs.py",
        """
        import jobq

        class Broken:
            def __enter__(self):
                raise RuntimeError("no context")

            def __exit__(self, *_):
                pass

        jobq.around_attempts(Broken)

        @jobq.register_job
        class Work(jobq.Job):
            def run(self):
                return 1
        """,
    )
    store.add(job_class="jobs.Work")
    application.jobq("run", "--drain", "--max-processes", "1")
    (result,) = store.results()
    assert (result.outcome, result.error_message) == ("errored", "no context")


def test_what_cannot_surround_an_attempt_is_refused() -> None:
    @asynccontextmanager
    async def asynchronous() -> AsyncIterator[None]:
        yield

    with pytest.raises(ConfigurationError, match="ordinary context managers"):
        jobq.around_attempts(asynchronous)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="takes a function"):
        jobq.around_attempts(asynchronous())  # type: ignore[arg-type]
