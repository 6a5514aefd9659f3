"""What a line of a log looks like, and that no text can forge one."""

import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from jobq import log_events
from jobq.logging import JobFilter, JsonFormatter, TextFormatter, mark
from jobq.records import Assignment, Report
from jobq.running import CURRENT
from jobq.runtime import attempts_log
from jobq.runtime.execution.running import Running
from jobq.runtime.guard import Guard

HOSTILE = [
    "two\nlines",
    "carriage\rreturn",
    "windows\r\nline",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil\x07link",
    "bell\x07 null\x00 delete\x7f c1\x9b31m",
    "turned \u202e around",
    "line\u2028separator\u0085next\x0bvertical\x0cform",
    "surrogate \ud800",
    'quotes " and \\ and = signs',
    "2026-11-30T20:00:00.000Z ERROR job errored job=1 class=forged",
    "x job=999 class=forged",
    '", "job": 999, "x": "',
    "%s %d %(job)s",
    "",
    "a" * 100_000,
]

HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ ")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")


def assignment(**fields: Any) -> Assignment:
    values: dict[str, Any] = {
        "id": 42,
        "attempt": 1,
        "excused": 0,
        "losses": 0,
        "retries": 3,
        "priority": 0,
        "enqueued_microseconds": 0,
        "queue": "default",
        "job_class": "shop.jobs.Ship",
        "arguments": "{}",
    }
    return Assignment(**{**values, **fields})


def errored(given: Assignment, **fields: Any) -> Report:
    values: dict[str, Any] = {"error_type": "ValueError", "error_message": "no such order", "retry_delay": 30.0}
    return Report(given.id, given.attempt, "errored", 10.0, **{"ended": 10.25, "assignment": given, **values, **fields})


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[logging.LogRecord]:
    """What jobq's logger of attempts has got, at every level."""
    found: list[logging.LogRecord] = []
    logger = logging.getLogger("jobq.job")
    monkeypatch.setattr(logger, "handle", found.append)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    return found


@pytest.fixture
def in_job() -> Callable[..., Any]:
    """Runs a function as the job of an assignment."""

    def run(function: Callable[[], Any], **fields: Any) -> Any:
        token = CURRENT.set(Running(assignment(**fields), Guard()))
        try:
            return function()
        finally:
            CURRENT.reset(token)

    return run


def record(message: Any, *arguments: Any, name: str = "shop", **more: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, message, arguments, more.pop("exc_info", None))
    vars(made).update(more)
    return made


def as_text(made: logging.LogRecord) -> list[str]:
    """Its lines, each of which must begin as a record does and hold nothing that takes effect."""
    lines = TextFormatter().format(made).split("\n")
    for line in lines:
        assert HEAD.match(line), line
        assert not CONTROL.search(line), line
    return [HEAD.sub("", line, count=1) for line in lines]


def as_json(made: logging.LogRecord) -> Any:
    text = JsonFormatter().format(made)
    assert not CONTROL.search(text)
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_failed_attempt_is_one_line_with_all_that_names_it(records: list[logging.LogRecord]) -> None:
    attempts_log.tell_ended([errored(assignment(), traceback="Traceback …\nValueError: no such order\n")])
    (made,) = records
    assert as_text(made) == [
        "job errored job=42 class=shop.jobs.Ship queue=default attempt=1/4 "
        'error="ValueError: no such order" ran=0.250s retry_in=30s'
    ]
    content = as_json(made)
    assert {key: content[key] for key in content if key != "time"} == {
        "level": "warning",
        "logger": "jobq.job",
        "message": "job errored",
        "job": 42,
        "class": "shop.jobs.Ship",
        "queue": "default",
        "attempt": 1,
        "max_attempts": 4,
        "error": "ValueError: no such order",
        "ran": 0.25,
        "retry_in": 30.0,
        "outcome": "errored",
        "traceback": "Traceback …\nValueError: no such order\n",
    }


@pytest.mark.parametrize(
    ("outcome", "fields", "level"),
    [
        ("errored", {"retry_delay": None}, "ERROR"),
        ("errored", {"retry_delay": 1.0}, "WARNING"),
        ("lost", {"retry_delay": None}, "ERROR"),
        ("lost", {"retry_delay": 0.0}, "WARNING"),
        ("lost", {"retry_delay": 0.0, "error_type": "CutOff"}, "INFO"),
        ("cancelled", {"retry_delay": None}, "INFO"),
        ("deferred", {"retry_delay": 5.0}, "DEBUG"),
    ],
)
def test_the_level_says_whether_somebody_has_to_act(
    records: list[logging.LogRecord], outcome: str, fields: dict[str, Any], level: str
) -> None:
    attempts_log.tell_ended([errored(assignment(), **fields)._replace(outcome=outcome)])
    assert [(made.levelname, as_json(made)["message"]) for made in records] == [(level, f"job {outcome}")]


def test_attempts_that_do_not_count_come_on_top_of_those_allowed(records: list[logging.LogRecord]) -> None:
    attempts_log.tell_ended([errored(assignment(attempt=3, excused=2, retries=0), retry_delay=None)])
    assert "attempt=3/3 " in as_text(records[0])[0]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_field_of_a_failed_attempt_forges_a_record_or_another_field(
    records: list[logging.LogRecord], hostile: str
) -> None:
    given = assignment(job_class=hostile, queue=hostile)
    attempts_log.tell_ended([errored(given, error_type=hostile, error_message=hostile, traceback=hostile)])
    (made,) = records
    (line,) = as_text(made)
    assert line.startswith("job errored job=42 class=")
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
    assert re.findall(r"(?:^| )(\w+)=", unquoted) == [*("job", "class", "queue", "attempt", "error", "ran", "retry_in")]
    content = as_json(made)
    assert (content["job"], content["class"]) == (42, hostile)
    assert content["queue"] == hostile


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_of_an_application_forges_a_record(in_job: Callable[..., Any], hostile: str) -> None:
    error = ValueError(hostile)
    made = record("%s", hostile, name=hostile or "x", exc_info=(ValueError, error, None), order=hostile)
    lines, content = in_job(lambda: (as_text(made), as_json(made)), job_class=hostile, queue=hostile)
    for line in lines:
        unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
        assert re.match(r"\S+ job=42 class=\S+ \|", unquoted), line
    assert (content["job"], content["class"], content["queue"]) == (42, hostile, hostile)
    assert content["order"] == hostile


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_value_in_a_record_of_jobqs_forges_a_field(hostile: str) -> None:
    made = record("tick schedule=%s at=%s job=%s", hostile, "now", 7, name="jobq.worker.scheduler")
    (line,) = as_text(made)
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
    assert re.findall(r"(?:^| )(\w+)=", unquoted) == ["schedule", "at", "job"]
    assert (as_json(made)["schedule"], as_json(made)["job"]) == (hostile, 7)


@pytest.mark.parametrize(
    ("template", "arguments", "message", "fields"),
    [
        ("signal received name=%s", ("SIGTERM",), "signal received", {"name": "SIGTERM"}),
        ("stats done=%s per_second=%.1f", (3, 1.26), "stats", {"done": 3, "per_second": 1.3}),
        ("worker declared dead worker=%s/%s", ("web", 1), "worker declared dead", {"worker": "web/1"}),
        ("child pid=%s %s", (7, "died"), "child died", {"pid": 7}),
        ("database away service=%s: %s", ("claim", "why"), "database away: why", {"service": "claim"}),
        ("100%% of job=%s", (None,), "100% of", {"job": None}),
        ("retry_in=%gs", (30.0,), "", {"retry_in": 30.0}),
        ("nothing to fill in 100%", (), "nothing to fill in 100%", {}),
    ],
)
def test_the_words_of_a_template_are_fields(
    template: str, arguments: tuple[Any, ...], message: str, fields: dict[str, Any]
) -> None:
    event = log_events.of(record(template, *arguments))
    assert event is not None
    assert (event.message, event.fields) == (message, fields)
    assert event.text == (template % arguments if arguments else template)


def test_every_line_of_a_traceback_begins_as_its_record_does(in_job: Callable[..., Any]) -> None:
    try:
        raise RuntimeError("first\n2026-11-30T20:00:00.000Z ERROR forged")
    except RuntimeError:
        made = record("it failed", exc_info=sys.exc_info())
    lines = in_job(lambda: as_text(made))
    assert lines[0] == "shop job=42 class=shop.jobs.Ship | it failed"
    assert lines[1] == "shop job=42 class=shop.jobs.Ship | Traceback (most recent call last):"
    assert all(line.startswith("shop job=42 class=shop.jobs.Ship | ") for line in lines)
    assert lines[-1].endswith("| 2026-11-30T20:00:00.000Z ERROR forged")


def test_what_json_does_not_have_is_text(in_job: Callable[..., Any]) -> None:
    class Hidden:
        def __str__(self) -> str:
            raise RuntimeError

    circle: list[Any] = []
    circle.append(circle)
    made = record(
        "x", nan=float("nan"), circle=circle, hidden=Hidden(), job="mine", time=1, deep={"key": (1, Hidden())}
    )
    content = in_job(lambda: as_json(made))
    assert (content["nan"], content["circle"]) == ("nan", "[[...]]")
    assert content["hidden"] == "<a Hidden that cannot be shown: RuntimeError>"
    assert (content["job"], content["extra.job"], content["extra.time"]) == (42, "mine", 1)


def test_the_filter_puts_the_running_job_on_each_record(in_job: Callable[..., Any]) -> None:
    inside, outside, null = record("x"), record("x"), record("x")
    assert in_job(lambda: JobFilter().filter(inside), queue="mail")
    assert JobFilter().filter(outside)
    assert JobFilter(outside=None).filter(null)
    text = logging.Formatter("%(job_id)s %(job_class)s %(job_queue)s %(job_attempt)s")
    assert text.format(inside) == "42 shop.jobs.Ship mail 1"
    assert text.format(outside) == "- - - -"
    assert vars(null)["job_id"] is None


def test_a_record_keeps_its_job_where_another_thread_formats_it(in_job: Callable[..., Any]) -> None:
    made = record("x")
    in_job(lambda: JobFilter().filter(made))
    assert as_json(made)["job"] == 42
    assert as_text(made) == ["shop job=42 class=shop.jobs.Ship | x"]
    mark(made, None)
    assert "job" not in in_job(lambda: as_json(made))


def test_the_exception_of_a_job_with_a_secret_does_not_reach_the_handlers(
    records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its traceback does, masked: a handler would format the exception itself."""
    monkeypatch.setattr(attempts_log, "is_in_child", True)
    plain, secret = assignment(), assignment(arguments='{"key": {"$": "secret", "v": "hunter22"}}')
    error = ValueError("hunter22")
    for given in (plain, secret):
        attempts_log.tell_in_child(given, errored(given, traceback="ValueError: •••"), error)
    assert [made.exc_info for made in records] == [(ValueError, error, None), None]
    assert [made.exc_text for made in records] == ["ValueError: •••"] * 2


def test_the_class_of_a_job_may_have_any_name() -> None:
    assert log_events.quoted("shop.jobs.Ship") == "shop.jobs.Ship"
    assert log_events.quoted("a b") == '"a b"'
    assert log_events.quoted("") == '""'
