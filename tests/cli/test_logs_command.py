"""`jobq logs` and `jobq tail`: the lines of jobs in a terminal."""

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from jobq.errors import FilterError
from jobq.observe import LoggedLine, line_filter
from jobq.records import Assignment, Report

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
import time
from jobq import Job, register_job


@register_job
class Runs(Job):
    def run(self):
        for number in range(2000):
            print(f"step {number} at {time.time():.3f}")
            time.sleep(0.1)
"""


def keep(store: "Store", job_id: int, attempt: int, lines: list[Any], said: int | None = None) -> None:
    """As a worker does; a line may be any text."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    store.execute(
        "INSERT INTO jobq.logs (began_at, job_id, attempt, said, level, job_class, queue, lines) "
        "VALUES ('2026-12-01 10:00:00Z', %s, %s, %s, 40, 'shop.Ship', 'mail', %s)",
        job_id,
        attempt,
        said or len(lines),
        "\n".join(texts),
    )


def report_of(assignment: Assignment, **fields: Any) -> Report:
    now = monotonic()
    return Report(assignment.id, assignment.attempt, "errored", now, now, error_type="ValueError", **fields)


def finished_job(store: "Store", attempts: int = 1) -> int:
    worker = store.worker()
    job = store.add(job_class="shop.Ship", retries=attempts - 1)
    assert job is not None
    for number in range(attempts):
        (assignment,) = store.claim(worker, classes=["shop.Ship"])
        if number < attempts - 1:
            store.retry(worker, report_of(assignment, retry_delay=0.0))
        else:
            store.finish(worker, report_of(assignment))
    return job


def test_the_lines_of_the_last_attempt_with_lines_are_shown(application: "Application", store: "Store") -> None:
    job = finished_job(store, attempts=3)
    keep(store, job, 1, [[0, 5, 20, "shop", "first"]])
    keep(store, job, 2, [[0, 1500, 20, "shop", "second"], [1, 1501, 40, "stdout", "a\nb"], [9, 1600, 30, "x", "z"]], 12)
    shown = application.jobq("logs", str(job))
    assert shown.stdout.splitlines() == [
        "10:00:01.500 info     shop | second",
        "10:00:01.501 error    stdout | a",
        "    b",
        "… 7 lines are not kept …",
        "10:00:01.600 warning  x | z",
        "… 2 lines are not kept …",
    ]
    assert shown.stderr == "these are the lines of attempt 2; attempts with lines too: 1 (--attempt)\n"
    first = application.jobq("logs", str(job), "--attempt", "1", "--json")
    (line,) = map(json.loads, first.stdout.splitlines())
    assert line == {
        "time": "2026-12-01T10:00:00.005000+00:00", "job": job, "class": "shop.Ship", "queue": "mail", "attempt": 1,
        "line": 0, "level": "info", "logger": "shop", "message": "first",
    }  # fmt: skip
    second = application.jobq("logs", str(job), "--json").stdout.splitlines()
    assert json.loads(second[2]) == {"job": job, "attempt": 2, "left_out": 7}
    assert f"attempt 2 said 12 lines: jobq logs {job} --attempt 2" in application.jobq("show", str(job)).stdout


def test_where_there_are_none_it_says_why(application: "Application", store: "Store") -> None:
    job = finished_job(store)
    shown = application.jobq("logs", str(job))
    assert (shown.returncode, shown.stdout) == (0, "")
    assert f"no lines of job {job} are kept" in shown.stderr
    missing = application.jobq("logs", "4711")
    assert missing.returncode != 0
    assert "There is no job 4711" in missing.stderr
    wrong = application.jobq("tail", "error:Deadlock")
    assert wrong.returncode == 2
    assert "Lines have no error:" in wrong.stderr


def test_10000_hostile_lines_are_data(application: "Application", store: "Store") -> None:
    hostile = [
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\u202egnp.exe",
        "\r\n",
        "\0",
        "\x9b31m",
        "[red]x[/red]",
        "é",
    ]
    job = finished_job(store)
    lines = [[number, 0, 20, hostile[number % 8] + "s", hostile[number % 8] + str(number)] for number in range(10_000)]
    for start in range(0, 10_000, 1000):
        keep(store, job, 1, lines[start : start + 1000], said=start + 1000)
    keep(store, job, 1, ["no JSON \x1b[2J", "[1]", '[0, 0, "x", 1, 2]', "[" * 10_000], said=10_000)
    shown = application.jobq("logs", str(job)).stdout
    assert not {character for character in shown if character != "\n" and not character.isprintable()}
    assert "␛[2J0" in shown
    assert "no JSON ␛[2J" in shown
    assert "[red]x[/red]6" in shown


def line_of(**fields: Any) -> LoggedLine:
    defaults = {"job_id": 7, "attempt": 1, "job_class": "mail.Send", "queue": "mail", "number": 0, "seconds": 0.0}
    texts = {"level": 20, "source": "shop", "message": "no stamps", "at": datetime.now(UTC)}
    return LoggedLine(**{**defaults, **texts, **fields})


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("", True),
        ("class:mail.*", True),
        ("class:shop.*", False),
        ("-class:shop.*", True),
        ("level:info", True),
        ("level:warning", False),
        ("queue:mail,other id:7", True),
        ("id:>7", False),
        ("STAMPS", True),
        ('"no stamps" -shop', False),
    ],
)
def test_a_filter_chooses_lines(words: str, fits: bool) -> None:
    assert line_filter(words).fits(line_of()) is fits


@pytest.mark.parametrize("words", ["level:loud", "-level:info", "since:1h", "level:", "nonsense:1"])
def test_a_filter_that_is_none_says_so(words: str) -> None:
    with pytest.raises(FilterError):
        line_filter(words)


def test_a_running_job_is_followed_until_it_ends(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    application.write("jobs.py", JOBS)
    job = store.add(job_class="jobs.Runs")
    with application.start("run", "-p", "1") as worker:
        eventually(lambda: "step 3 " in worker.stdout)
        with application.start("logs", str(job), "-f", "--json") as follower, application.start("tail") as tail:
            eventually(lambda: '"message": "step 15 ' in follower.stdout)
            eventually(lambda: f"#{job}/1 jobs.Runs stdout | step 15 " in tail.stdout)
            numbers = [json.loads(line)["line"] for line in follower.stdout.splitlines()]
            assert numbers == list(range(len(numbers))), "also what it said before, each line once"
            application.jobq("cancel", str(job))
            assert follower.wait() == 0
            tail.signal(signal.SIGINT)
            assert tail.wait() == 0
            assert tail.stderr == ""
        assert store.rows("SELECT FROM jobq.follows") == []
