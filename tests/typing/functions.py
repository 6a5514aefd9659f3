"""What type checkers say of functions that are jobs. A comment names the error that each of them must see."""

from typing import assert_type

from jobq import Job, JobRecord, enqueue_many, job


@job
def welcome(user_id: int, name: str = "friend") -> str:
    return f"Welcome, {name} ({user_id})"


@job(queue="mail", retries=3, retry_delay=lambda attempt: 2.0**attempt, unique_key="fetch-{address}")
async def fetch(address: str, *, timeout: float = 5) -> bytes:
    return address.encode()[: int(timeout)]


assert_type(welcome(7), str)
assert_type(welcome.later(7, name="Ada"), JobRecord | None)
assert_type(welcome.options(delay=60, queue="slow").later(7), JobRecord | None)
assert_type(welcome.job(7), Job)
enqueue_many([welcome.job(1), fetch.job("https://example.org", timeout=1)])


async def in_a_loop() -> None:
    assert_type(await fetch("https://example.org"), bytes)
    assert_type(await fetch.later_async("https://example.org"), JobRecord | None)
    assert_type(await fetch.options(priority=1).later_async("https://example.org"), JobRecord | None)
    await fetch.later_async(7)  # mypy: arg-type, pyright: reportArgumentType


welcome("7")  # mypy: arg-type, pyright: reportArgumentType
welcome.later("7")  # mypy: arg-type, pyright: reportArgumentType
welcome.later()  # mypy: call-arg, pyright: reportCallIssue
welcome.later(7, nmae="Ada")  # mypy: call-arg, pyright: reportCallIssue
welcome.job(7, "Ada", 3)  # mypy: call-arg, pyright: reportCallIssue
welcome.options(delay=60).later(None)  # mypy: arg-type, pyright: reportArgumentType
welcome.options(dealy=60)  # mypy: call-arg, pyright: reportCallIssue
fetch.later("https://example.org", 3)  # mypy: call-arg, pyright: reportCallIssue
job(queue=7)  # mypy: call-overload, pyright: reportArgumentType
