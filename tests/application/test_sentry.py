"""Sentry, with its real SDK: a transport writes each envelope into a file."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from jobq import sentry
from jobq.records import Assignment

if TYPE_CHECKING:
    from conftest import Application, Store

SET_UP = """
import json
import os
import sentry_sdk
from sentry_sdk.transport import Transport

class IntoFile(Transport):
    def capture_envelope(self, envelope):
        with open("envelopes.jsonl", "a") as file:
            for item in envelope.items:
                if item.payload.json is not None:
                    file.write(json.dumps([item.type, item.payload.json], default=str) + "\\n")

options = json.loads(os.environ.get("SENTRY_OPTIONS", "{}"))
sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=IntoFile, **options)
"""

JOBS = """
import logging
import sentry_setup
from jobq import Cancel, Defer, Job, Schedule, Secret, register_job

@register_job
class Charge(Job):
    def __init__(self, order: int, key: Secret, retries: int = 0):
        self.order, self.key, self.retries = order, key, retries

    def get_retries(self):
        return self.retries

    def get_retry_delay(self, attempt):
        return 0

    def run(self):
        revealed = self.key.reveal()
        logging.getLogger("shop").warning("charging with %s", revealed)
        raise ValueError(f"refused: {revealed}")

@register_job
class Loads(Job):
    def __init__(self, order: int):
        raise KeyError("no such order")

    def run(self):
        pass

@register_job
class Ends(Job):
    def __init__(self, how: str):
        self.how = how

    def run(self):
        if self.how == "cancel":
            raise Cancel("enough")
        if self.how == "fail":
            raise RuntimeError("plain")

@register_job
class Coroutine(Job):
    async def run(self):
        raise ValueError("in a loop")

@register_job
class Nightly(Job):
    schedule = Schedule.from_cron("* * * * *", timezone="Europe/Berlin", jitter=0)

    def __init__(self, fails: bool = False):
        self.fails = fails

    def get_timeout(self):
        return 90

    def run(self):
        if self.fails:
            raise ValueError("the night was bad")
"""

SECRET = "hunter22-is-the-key"


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("sentry_setup.py", SET_UP)
    application.write("jobs.py", JOBS)
    return application


def run(
    app: "Application",
    *,
    middleware: str = "jobq.sentry.report",
    options: Any = None,
    arguments: Any = (),
    code: int = 1,
) -> str:
    """Drains the queue, and returns the log. The exit code is 1 where a job has failed."""
    environment = {"JOBQ_MIDDLEWARE": middleware, "SENTRY_OPTIONS": json.dumps(options or {})}
    finished = app.jobq("run", "--drain", "-p", "1", *arguments, environment=environment)
    assert finished.returncode == code, finished.stderr
    return finished.stderr


def envelopes(app: "Application", kind: str = "event") -> list[Any]:
    file = app.path / "envelopes.jsonl"
    items = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [payload for item, payload in items if item == kind]


def secret(order: int = 7, **more: Any) -> str:
    return json.dumps({"order": order, "key": {"$": "secret", "v": SECRET}, **more})


def test_each_failed_attempt_is_an_event_with_its_job_and_without_its_secrets(
    app: "Application", store: "Store"
) -> None:
    job = store.add(job_class="jobs.Charge", queue="mail", arguments=secret(retries=1), retries=1)
    run(app, options={"release": "shop@1.2"})
    first, last = envelopes(app)
    assert [event["level"] for event in (first, last)] == ["warning", "error"]
    (error,) = last["exception"]["values"]
    assert (error["type"], error["value"], error["mechanism"]["type"]) == ("ValueError", "refused: •••", "jobq")
    assert last["contexts"]["jobq"] == {
        "job": job,
        "class": "jobs.Charge",
        "queue": "mail",
        "attempt": 2,
        "max_attempts": 2,
        "priority": 0,
        "arguments": {"order": 7, "key": {"$": "secret", "v": "•••"}, "retries": 1},
    }
    assert last["tags"] == {"jobq.class": "jobs.Charge", "jobq.queue": "mail", "jobq.job": str(job)}
    assert (last["transaction"], last["release"]) == ("jobs.Charge", "shop@1.2")
    assert last["breadcrumbs"]["values"][-1]["message"] == "charging with •••"
    assert any(frame.get("vars", {}).get("revealed") == "'•••'" for frame in error["stacktrace"]["frames"])
    assert SECRET not in (app.path / "envelopes.jsonl").read_text()


def test_what_fails_before_run_is_reported_with_the_job(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Loads", arguments='{"order": 7}')
    coroutine = store.add(job_class="jobs.Coroutine")
    store.add(job_class="jobs.Ends", arguments='{"how": "cancel"}')
    store.add(job_class="jobs.Ends", arguments='{"how": "succeed"}')
    run(app, arguments=("--concurrency", "2"))
    events = {event["contexts"]["jobq"]["job"]: event for event in envelopes(app)}
    assert set(events) == {job, coroutine}
    assert events[job]["exception"]["values"][-1]["type"] == "KeyError"
    assert events[job]["contexts"]["jobq"]["arguments"] == {"order": 7}
    assert events[coroutine]["transaction"] == "jobs.Coroutine"


def test_sentrys_own_integration_of_logging_sees_failures_without_the_middleware(
    app: "Application", store: "Store"
) -> None:
    """Also where a dictConfig of the application has disabled jobq's logger. A secret keeps the exception here."""
    app.write(
        "jobs.py",
        JOBS + "\nimport logging.config\nlogging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})\n",
    )
    job = store.add(job_class="jobs.Ends", arguments='{"how": "fail"}')
    hidden = store.add(job_class="jobs.Charge", arguments=secret())
    log = run(app, middleware="")
    plain, masked = [event for event in envelopes(app) if event["logger"] == "jobq.job"]
    assert plain["exception"]["values"][-1]["value"] == "plain"
    assert plain["logentry"]["params"][:2] == [job, "jobs.Ends"]
    assert (masked["level"], masked["logentry"]["params"][0]) == ("error", hidden)
    assert "exception" not in masked
    assert SECRET not in json.dumps(masked["logentry"])
    assert log.count("job errored") == 2, "the worker tells each failure, and the child does not tell it again"


def test_each_run_of_a_schedule_is_a_check_in(app: "Application", store: "Store") -> None:
    """One identifier for all attempts of a run. What is enqueued by hand is no run."""
    carrier = '{"jobq-schedule": "jobs.Nightly"}'
    ran = store.add(job_class="jobs.Nightly", trace_context=carrier, timeout=90.0)
    failed = store.add(job_class="jobs.Nightly", trace_context=carrier, arguments='{"fails": true}', retries=1)
    store.add(job_class="jobs.Nightly")
    store.execute("UPDATE jobq.jobs SET queue = 'ticks'")
    run(app, arguments=("-q", "ticks"))
    store.execute("UPDATE jobq.jobs SET run_at = now(), is_due = true WHERE id = %s", failed)
    run(app, arguments=("-q", "ticks"), code=0)
    found = envelopes(app, "check_in")
    told: dict[str, list[str]] = {}
    for check_in in found:
        told.setdefault(check_in["check_in_id"], []).append(check_in["status"])
    assert list(told.values()) == [["in_progress", "ok"], ["in_progress", "in_progress", "error"]]
    assert {check_in["monitor_slug"] for check_in in found} == {"jobs-nightly"}
    assert found[0]["monitor_config"] == {
        "schedule": {"type": "crontab", "value": "* * * * *"},
        "timezone": "Europe/Berlin",
        "checkin_margin": 5,
        "max_runtime": 2,
    }
    assert found[1]["duration"] >= 0
    assert ran is not None


def test_a_build_names_the_release_where_nothing_else_does(app: "Application", store: "Store") -> None:
    store.add(job_class="jobs.Ends", arguments='{"how": "fail"}')
    environment = {"JOBQ_MIDDLEWARE": "jobq.sentry.report", "JOBQ_BUILD": "a41c9e2"}
    assert app.jobq("run", "--drain", "-p", "1", environment=environment).returncode == 1
    assert [event["release"] for event in envelopes(app)] == ["a41c9e2"]


def test_with_tracing_each_attempt_is_a_transaction(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Ends", queue="mail", arguments='{"how": "fail"}')
    run(app, options={"traces_sample_rate": 1.0})
    (transaction,) = envelopes(app, "transaction")
    trace = transaction["contexts"]["trace"]
    assert (transaction["transaction"], trace["op"], trace["status"]) == (
        "jobs.Ends",
        "queue.process",
        "internal_error",
    )
    assert trace["data"]["messaging.message.id"] == str(job)


def test_without_init_nothing_is_sent_and_jobs_run(app: "Application", store: "Store") -> None:
    app.write("sentry_setup.py", "")
    store.add(job_class="jobs.Ends", arguments='{"how": "succeed"}')
    assert "observer" not in run(app, code=0)
    assert store.results()[0].outcome == "successful"


def test_the_sdk_is_loaded_only_where_it_is_used() -> None:
    program = (
        "import sys, jobq.logging, jobq.runtime.child, jobq.runtime.supervisor; print('sentry_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("jobs.Nightly", "jobs-nightly"),
        ("shop.jobs.Report:Grüße an alle", "shop-jobs-report-gr-e-an-alle"),
        ("a" * 60, "a" * 41 + "-11ee3912"),
    ],
)
def test_a_schedules_name_becomes_a_slug(name: str, slug: str) -> None:
    assert sentry.slug_of(name) == slug


@pytest.mark.parametrize(
    ("stored", "shown"), [("[", "no JSON"), ("1" * 20_000, "20,000 characters: too large to show")]
)
def test_arguments_that_cannot_be_shown_say_so(stored: str, shown: str) -> None:
    assert sentry.shown_arguments(stored) == shown


def test_a_job_of_no_schedule_is_no_tick() -> None:
    given = Assignment(1, 1, 0, 0, 0, 0, 0, "default", "jobs.Nightly", "{}")
    assert sentry.tick_of(given) is None
    assert sentry.tick_of(given._replace(trace_context='{"jobq-schedule": 7}')) is None
