"""`jobq cancel`, `stop`, `stack`, `pause`, `resume` as a shell runs them, and the page on them to the letter."""

import json
import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]


@pytest.fixture
def waiting(sample: "Application", store: "Store", tmp_path: Path) -> "Waiting":
    return Waiting(store, tmp_path)


class Waiting:
    """A job that runs until it is let go."""

    def __init__(self, store: "Store", folder: Path) -> None:
        self.started, self.go = folder / "started", folder / "go"
        arguments = json.dumps({"started": str(self.started), "go": str(self.go)})
        self.job = store.add(job_class="jobs.Wait", arguments=arguments)
        assert self.job is not None


def test_cancel_says_what_was_cancelled_and_what_was_asked_to_stop(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "1"):
        eventually(waiting.started.exists)
        pending, ended = store.add(job_class="jobs.Echo", delay=60), 999

        finished = sample.jobq("cancel", str(waiting.job), str(pending), str(ended), "--wait", "--json")

    document = json.loads(finished.stdout)
    assert (document["done"], document["asked"]) == ([pending], [waiting.job])
    assert document["skipped"] == {"999": "there is no such job"}
    assert document["ended"][str(waiting.job)]["outcome"] == "cancelled"
    assert finished.returncode == 0


def test_a_worker_that_is_asked_to_stop_finishes_its_job_and_ends_well(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    old = store.worker(host="old", pid=7)
    store.execute("UPDATE jobq.workers SET status = '{\"done\": 3}' WHERE id = %s", old)
    with sample.start("run", "--max-processes", "1") as worker:
        eventually(waiting.started.exists)
        (name,) = store.rows("SELECT host || '/' || pid AS name FROM jobq.workers WHERE id <> %s", old)[0]

        asked = sample.jobq("stop", name, "old/7")
        assert asked.stdout == f"asked to stop: {name}\n"
        assert "old/7 was left alone: its release, 1, cannot be asked: send it SIGTERM, on old" in asked.stderr
        eventually(lambda: "stopping, asked" in sample.jobq("workers").stdout)
        later = store.add(job_class="jobs.Echo")
        assert "it is stopping already" in sample.jobq("stop", name).stderr
        assert "old/7 was left alone: it was heard of" in sample.jobq("stop", "--dead", "old/7").stderr
        store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '31 seconds' WHERE id = %s", old)
        assert sample.jobq("stop", "--dead", "old/7").stdout == "declared dead: old/7\n"

        waiting.go.touch()
        assert worker.wait() == 0

    assert [row.outcome for row in store.results(waiting.job)] == ["successful"]
    assert store.job(later).state == "pending"
    act, dead = store.rows("SELECT * FROM jobq.audit ORDER BY id")
    assert (dead.verb, dead.names) == ("declare dead", ["old/7"])
    assert (act.verb, act.names, act.affected) == ("stop worker", [name], 1)


def test_the_first_signal_after_an_operators_request_cuts_nothing_off(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    """A service manager sends its SIGTERM whatever an operator has done: only its second one is in earnest."""
    by_heartbeat = {"JOBQ_LISTEN": "false", "JOBQ_HEARTBEAT_EVERY": "0.2"}
    with sample.start("run", "--max-processes", "1", environment=by_heartbeat) as worker:
        eventually(waiting.started.exists)
        store.execute("UPDATE jobq.workers SET stop_requested_at = now(), stop_requested_by = 'ada@here'")
        eventually(lambda: "asked to stop by=ada@here" in worker.stderr)
        worker.signal(signal.SIGTERM)
        eventually(lambda: "signal received" in worker.stderr)
        waiting.go.touch()
        assert worker.wait() == 0

    assert [row.outcome for row in store.results(waiting.job)] == ["successful"]


def test_cancel_does_not_claim_the_end_of_what_still_runs(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    # Nobody will stop this one: its worker is none.
    worker = store.worker()
    store.claim(worker, classes=["jobs.Wait"])

    finished = sample.jobq("cancel", str(waiting.job))

    assert finished.stdout == "cancelled 0, asked 1 to stop\n"
    assert finished.returncode == 0
    shown = sample.jobq("show", str(waiting.job)).stdout
    assert re.search(r"to stop +asked for by \S+@\S+ ", shown)


def test_running_jobs_are_cancelled_by_filter_too(sample: "Application", store: "Store", waiting: Waiting) -> None:
    store.claim(store.worker(), classes=["jobs.Wait"])
    store.add(job_class="jobs.Wait")

    finished = sample.jobq("cancel", "--running", "--class", "jobs.Wait", "--yes", "--json")

    assert json.loads(finished.stdout)["asked"] == [waiting.job]


def test_a_job_that_does_not_run_has_no_stack(sample: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Echo")

    finished = sample.jobq("stack", str(job))

    assert finished.returncode == 2
    assert finished.stderr == f"jobq: error: Job {job} is pending: only a running job has a stack.\n"
    assert sample.jobq("stack", "999").returncode == 2


def test_a_worker_that_does_not_answer_is_named(sample: "Application", store: "Store", waiting: Waiting) -> None:
    store.claim(store.worker(host="far", pid=7), classes=["jobs.Wait"])

    finished = sample.jobq("stack", str(waiting.job), "--timeout", "0.2")

    assert finished.returncode == 2
    assert "Worker far/7 did not answer within 0.2 s" in finished.stderr


def test_pause_and_resume_say_what_they_changed(sample: "Application", store: "Store") -> None:
    paused = sample.jobq("pause", "mail", "slow", "--reason", "the provider is\x1b[31m down")
    again = sample.jobq("pause", "mail", "--json")
    shown = sample.jobq("queues", environment={"COLUMNS": "250"}).stdout
    listed = json.loads(sample.jobq("queues", "--json").stdout)
    resumed = sample.jobq("resume", "mail", "slow", "never")

    assert paused.stdout == "paused mail, slow\n"
    assert json.loads(again.stdout) == {"done": [], "unchanged": ["mail"]}
    assert re.search(r"paused \S+ ago by \S+@\S+: the provider is", shown)
    assert "\x1b[31m" not in shown
    assert {queue["name"]: queue["paused"] for queue in listed} == {"mail": True, "slow": True}
    assert resumed.stdout == "resumed mail, slow\n"
    assert resumed.stderr == "never was not paused\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("pause",), "QUEUE"),
        (("pause", "a\x07b"), "control characters"),
        (("cancel", "--running", "--scheduled", "--queue", "q"), "either"),
        (("enqueue", "jobs.Echo", "--timeout", "0"), "above 0"),
        (("enqueue", "jobs.Echo", "--timeout", "2099-12-01T09:00Z"), "how long"),
        (("enqueue", "jobs.Echo", "--expires", "-5"), "cannot expire in the past"),
        (("enqueue", "jobs.Echo", "--expires", "5", "--delay", "10"), "would never run"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    sample: "Application", store: "Store", arguments: tuple[str, ...], word: str
) -> None:
    finished = sample.jobq(*arguments)

    assert finished.returncode == 2
    assert word in finished.stderr
    assert "Traceback" not in finished.stderr
    assert store.unfinished() == []


def test_a_timeout_and_an_expiry_are_enqueued_and_shown(sample: "Application", store: "Store") -> None:
    enqueued = sample.jobq("enqueue", "jobs.Echo", "--timeout", "5m", "--expires", "1h", "--json")

    document = json.loads(enqueued.stdout)
    job = store.job(document["id"])
    assert (job.timeout, document["timeout"]) == (300.0, 300.0)
    assert (job.expires_at - job.enqueued_at).total_seconds() == pytest.approx(3600)
    shown = sample.jobq("show", str(job.id)).stdout
    assert "timeout      5m" in shown
    assert "expires" in shown


def page_section(title: str) -> str:
    page = (Path(__file__).parents[2] / "docs" / "long-work.md").read_text(encoding="utf-8")
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_pages_section_on_control_works_as_it_stands(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    section = page_section("Stopping, limits, progress")
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (console,) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    application.write("jobs.py", code)
    application.write("orders.csv", "".join(f"{number},widget\n" for number in range(10_000)))
    commands = [shlex.split(line.removeprefix("$ jobq ")) for line in console.splitlines()]
    answers = {}

    with application.start("run", "--max-processes", "1") as worker:
        for command in commands:
            if command[0] == "list":
                eventually(lambda: store.job(1).progress)
            finished = application.jobq(*command, environment={"COLUMNS": "250"})
            assert finished.returncode == 0, (command, finished.stderr)
            answers[command[0]] = finished.stdout + finished.stderr
        later = [
            int(application.jobq("enqueue", "jobs.ImportOrders", file, "--retries", "5").stdout)
            for file in ("missing.csv", "empty.csv", "jobs.py")
            if application.write("empty.csv", "")
        ]
        eventually(lambda: all(store.results(job) for job in later))

    assert "of 10,000 (" in answers["list"]
    assert ", in run" in answers["stack"]
    assert "job 1 has ended as cancelled: cancelled by" in answers["cancel"]
    assert answers["pause"] == "paused imports\n"
    assert answers["resume"] == "resumed imports\n"
    assert "job 1 closes its files" in worker.stdout
    assert [store.results(job)[0].outcome for job in later] == ["deferred", "cancelled", "errored"]
    assert [job.id for job in store.unfinished()] == later[:1]
