"""One run in this process: whatever the user's code does, one report says how it ended."""

import json
import subprocess
import sys
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from jobq import Job, Secret
from jobq.arguments import decoded, value_and_note
from jobq.names import name_of
from jobq.records import Assignment, Report
from jobq.registration import add_class
from jobq.registry import Registry
from jobq.runtime.execution import MAX_MESSAGE_CHARACTERS, MAX_TRACEBACK_CHARACTERS, execute


def run(job_class: type[Job], arguments: dict[str, Any] | None = None, **fields: Any) -> Report:
    registry = Registry()
    add_class(registry, job_class)
    assignment = Assignment(
        id=7,
        attempt=fields.get("attempt", 1),
        excused=fields.get("excused", 0),
        losses=0,
        retries=fields.get("retries", 0),
        priority=0,
        enqueued_microseconds=1_500_000,
        queue="default",
        job_class=fields.get("named", name_of(job_class)),
        arguments=json.dumps(arguments or {}),
    )
    return execute(assignment, registry)


class Raises(Job):
    def __init__(self, error: Any = None) -> None:
        self.error = error

    def run(self) -> Any:
        raise self.make()

    def make(self) -> BaseException:
        return ValueError("no good")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def test_what_run_returns_is_kept_as_json() -> None:
    class Returns(Job):
        def run(self) -> Any:
            return {"files": [1, 2.5, None, True, "text"]}

    report = run(Returns)

    assert report.outcome == "successful"
    assert json.loads(report.value or "") == {"files": [1, 2.5, None, True, "text"]}


@pytest.mark.parametrize(
    ("returned", "note"),
    [
        (object(), "run() returned a value of type object, which is not kept: value: a object cannot be stored."),
        ([1, {"a": {1: len}}], "which is not kept: value[1].a[1]: the function len cannot be stored."),
        ("x" * 300_000, "which is not kept: it takes 300,002 bytes as JSON; 262,144 are allowed"),
    ],
)
def test_a_note_takes_the_place_of_a_value_that_cannot_be_kept(returned: Any, note: str) -> None:
    class Returns(Job):
        def run(self) -> Any:
            return returned

    report = run(Returns)

    value, told = value_and_note(json.loads(report.value or ""))
    assert (report.outcome, value) == ("successful", None)
    assert told is not None
    assert note in told


def test_no_value_of_the_users_passes_for_a_note() -> None:
    class Returns(Job):
        def run(self) -> Any:
            return {"$": "unkept", "v": "a lie"}

    stored = json.loads(run(Returns).value or "")
    assert value_and_note(stored) == (stored, None)
    assert decoded(stored) == {"$": "unkept", "v": "a lie"}


def test_the_traceback_begins_in_the_users_code() -> None:
    report = run(Raises)

    assert (report.outcome, report.error_type, report.error_message) == ("errored", "ValueError", "no good")
    assert report.traceback is not None
    assert "raise self.make()" in report.traceback
    assert "/jobq/runtime/" not in report.traceback


def test_the_traceback_has_every_cause() -> None:
    class Chains(Job):
        def run(self) -> None:
            try:
                {}["first"]
            except KeyError as error:
                raise RuntimeError("second") from error

    traceback = run(Chains).traceback or ""

    told = ["KeyError: 'first'", "direct cause", "RuntimeError: second"]
    places = [traceback.index(part) for part in told]
    assert places == sorted(places)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("base")])
def test_exceptions_that_are_no_errors_end_the_attempt_as_errored(error: BaseException) -> None:
    class Leaves(Raises):
        def make(self) -> BaseException:
            return error

    report = run(Leaves)

    assert (report.outcome, report.error_type) == ("errored", type(error).__name__)


def test_an_exception_that_cannot_be_shown_is_reported_all_the_same() -> None:
    class Hides(Raises):
        def make(self) -> BaseException:
            return Unprintable()

    report = run(Hides)

    assert report.outcome == "errored"
    assert report.error_message == "<its message cannot be shown: str() raised RuntimeError>"
    assert "Unprintable" in (report.traceback or "")


def test_an_exception_group_shows_all_its_members() -> None:
    class Groups(Raises):
        def make(self) -> BaseException:
            return ExceptionGroup("several", [ValueError("one"), TypeError("two")])

    traceback = run(Groups).traceback or ""

    assert "ValueError: one" in traceback
    assert "TypeError: two" in traceback


def test_causes_that_go_in_a_circle_end() -> None:
    class Circles(Raises):
        def make(self) -> BaseException:
            first, second = ValueError("first"), ValueError("second")
            first.__cause__, second.__cause__ = second, first
            return first

    assert "second" in (run(Circles).traceback or "")


def test_what_postgresql_cannot_store_is_written_out() -> None:
    class Odd(Raises):
        def make(self) -> BaseException:
            return ValueError("nul \0 and half a pair \ud800")

    report = run(Odd)

    assert report.error_message == "nul \\x00 and half a pair \\ud800"
    assert "\0" not in (report.traceback or "")


def test_endless_messages_are_cut_with_a_mark() -> None:
    class Shouts(Raises):
        def make(self) -> BaseException:
            return ValueError("x" * 10_000_000)

    report = run(Shouts)

    assert len(report.error_message or "") < MAX_MESSAGE_CHARACTERS + 100
    assert len(report.traceback or "") < MAX_TRACEBACK_CHARACTERS + 100
    assert "characters left out" in (report.error_message or "")


KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"


@pytest.mark.parametrize("secret", ["open sesame", "p\u00e4ss/w\u00f6rd&\"'\\", KEY, "half" * 5000], ids=len)
def test_a_secret_that_an_error_has_in_it_is_masked_before_the_text_is_cut(secret: str) -> None:
    class Tells(Job):
        def __init__(self, keys: dict[str, Secret]) -> None:
            self.text = keys["a"].reveal()

        def run(self) -> None:
            try:
                raise ExceptionGroup("at once", [ValueError(self.text), OSError(self.text.encode())])
            except ExceptionGroup as error:
                url = f"https://h/?key={quote(self.text)}&again={quote_plus(self.text)}"
                raise RuntimeError(f"{self.text} {self.text!r} {json.dumps(self.text)} {url}" * 3) from error

        def get_retry_delay(self, attempt: int) -> float:
            raise KeyError(self.text)

    report = run(Tells, {"keys": {"a": {"$": "secret", "v": secret}}}, retries=1)

    told = json.dumps(report) + (report.traceback or "")
    assert report.error_type == "RuntimeError"
    assert "KeyError" in told
    words = {word for line in secret.splitlines() for word in (line, quote(line), quote_plus(line), ascii(line)[1:-1])}
    assert [word for word in words if word in told or word[:5000] in told] == []
    assert "•••" in (report.error_message or "")


def test_recursion_without_end_is_one_errored_attempt() -> None:
    class Recurses(Job):
        def run(self) -> None:
            self.run()

    assert run(Recurses).error_type == "RecursionError"


def test_a_retry_waits_as_long_as_the_job_says() -> None:
    class Waits(Raises):
        def get_retry_delay(self, attempt: int) -> float:
            return 10 * attempt

    assert run(Waits, retries=3).retry_delay == 10
    assert run(Waits, retries=3, attempt=3).retry_delay == 30


def test_attempts_that_were_lost_do_not_count_against_the_retries() -> None:
    assert run(Raises, retries=1, attempt=3, excused=2).retry_delay is not None
    assert run(Raises, retries=1, attempt=3, excused=1).retry_delay is None


def test_the_last_retry_is_followed_by_none() -> None:
    assert run(Raises, retries=1, attempt=2).retry_delay is None
    assert run(Raises, retries=0).retry_delay is None


@pytest.mark.parametrize("answer", [-1, None, float("nan"), "soon", True, 1e300])
def test_a_job_that_cannot_say_its_delay_is_retried_and_the_traceback_says_so(answer: Any) -> None:
    class Undecided(Raises):
        def get_retry_delay(self, attempt: int) -> float:
            return answer  # type: ignore[no-any-return]

    report = run(Undecided, retries=1)

    assert report.retry_delay == 1.0
    assert "get_retry_delay failed" in (report.traceback or "")
    assert report.error_message == "no good"


def test_an_unregistered_class_is_an_errored_attempt_and_no_import() -> None:
    report = run(Raises, named="os.system")

    assert (report.outcome, report.error_type) == ("errored", "jobq.errors.UnknownJobClass")


@pytest.mark.parametrize("arguments", [{"unknown": 1}, {"error": {"$": "os.system", "v": "true"}}])
def test_arguments_that_do_not_fit_are_an_errored_attempt(arguments: dict[str, Any]) -> None:
    report = run(Raises, arguments)

    assert (report.outcome, report.error_type) == ("errored", "jobq.errors.ArgumentsError")


def test_an_error_of_the_constructor_is_the_users_own() -> None:
    class Refuses(Job):
        def __init__(self) -> None:
            raise TypeError("not today")

        def run(self) -> None:
            raise AssertionError

    report = run(Refuses, retries=1)

    assert (report.error_type, report.error_message) == ("TypeError", "not today")
    assert report.retry_delay == 1.0


def test_a_coroutine_is_awaited() -> None:
    class Awaits(Job):
        async def run(self) -> str:
            return "awaited"

    assert run(Awaits).value == '"awaited"'


@pytest.mark.parametrize("where", ["run", "__str__", "get_retry_delay"])
def test_of_a_job_that_forks_only_the_original_goes_on(where: str) -> None:
    script = subprocess.run([sys.executable, "-c", FORKS, where], capture_output=True, text=True, timeout=60)
    assert (script.stdout, script.stderr) == ("on\n", "")


FORKS = """
import os, sys
from jobq import Job
from jobq.records import Assignment
from jobq.names import name_of
from jobq.registration import add_class
from jobq.registry import Registry
from jobq.runtime.execution import execute

def fork(where):
    if where == sys.argv[1]:
        os.fork()

class Forks(Exception):
    def __str__(self):
        fork("__str__")
        return "forked"

class ForkingJob(Job):
    def run(self):
        fork("run")
        raise Forks

    def get_retry_delay(self, attempt):
        fork("get_retry_delay")
        return 0

registry = Registry()
add_class(registry, ForkingJob)
execute(Assignment(7, 1, 0, 0, 1, 0, 0, "default", name_of(ForkingJob), "{}"), registry)
os.write(1, b"on\\n")
"""
