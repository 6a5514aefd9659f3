"""The commands of an operator, as a shell runs them on a database in trouble."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

INCIDENTS = Path(__file__).parents[2] / "docs" / "incidents.md"


def document(finished: "subprocess.CompletedProcess[str]", exit_code: int = 0) -> Any:
    assert finished.returncode == exit_code, (finished.stdout, finished.stderr)
    return json.loads(finished.stdout)


def drained(sample: "Application") -> None:
    finished = sample.jobq("run", "--drain")
    assert finished.returncode in (0, 1), finished.stderr  # 1: a job failed


def enqueue_failures(store: "Store", count: int = 3) -> list[int | None]:
    return store.add_many(*[{"job_class": "jobs.Fail", "queue": "mail"}] * count)


def test_a_night_of_failures_is_found_mended_and_undone(sample: "Application", store: "Store") -> None:
    """From the groups to the retry by group, and back."""
    ids = enqueue_failures(store)
    store.add(job_class="jobs.Echo")
    drained(sample)

    (group,) = document(sample.jobq("failures", "--json"))
    assert (group["attempts"], group["at_rest"], group["job_class"]) == (3, 3, "jobs.Fail")
    assert group["frame"].startswith("jobs.py:")
    text = sample.jobq("failures", "--examples").stdout
    assert group["group"] in text
    assert "return table[key]" in text

    assert "muted " + group["group"] in sample.jobq("failures", "mute", group["group"], "--for", "2h").stdout
    assert f"{group['group']} is muted by " in sample.jobq("failures").stderr
    assert "Put --since after 'mute'" in sample.jobq("failures", "--since", "1h", "mute", "x").stderr
    assert "is not a duration" in sample.jobq("failures", "mute", "x", "--for", "soon").stderr
    assert document(sample.jobq("failures", "unmute", "x", "--json")) == {"done": [], "unchanged": ["x"]}

    retried = sample.jobq("retry", "--group", group["group"], "--yes")
    assert "retried 3" in retried.stdout
    assert "3 finished jobs match" in retried.stderr
    assert [job.id for job in store.unfinished()] == ids

    undone = sample.jobq("undo")
    assert "undone 3" in undone.stdout
    assert store.unfinished() == []
    assert [act["verb"] for act in document(sample.jobq("audit", "--json"))] == ["undo", "retry", "mute"]
    table = sample.jobq("audit", environment={"COLUMNS": "200"}).stdout
    assert f"group:{group['group']}" in table
    assert "undo of 3" in table


def test_a_filter_takes_the_same_words_for_lists_and_acts(sample: "Application", store: "Store") -> None:
    enqueue_failures(store, 2)
    store.add(job_class="jobs.Fail", queue="other")
    drained(sample)
    words = "outcome:errored queue:mail since:1h error:look-up -error:Deadlock"

    listed = document(sample.jobq("list", words, "--json"))
    by_options = document(sample.jobq("list", "finished", "--outcome", "errored", "--queue", "mail", "--json"))
    purged = sample.jobq("purge", words, "--yes", "--json")

    assert [job["id"] for job in listed] == [job["id"] for job in by_options]
    assert sorted(document(purged)["done"]) == sorted(job["id"] for job in listed)
    assert [result.queue for result in store.results()] == ["other"]
    assert document(sample.jobq("audit", "--json"))[0]["selection"] == words


@pytest.mark.parametrize(
    ("command", "carets"),
    [
        (["list", "outcome:erored queue:mail"], "            ^^^^^^"),
        (["list", "queue:mail sinc:1h"], "               ^^^^^"),
        (["retry", "state:running"], "    ^^^^^^^^^^^^^"),
        (["cancel", "outcome:errored"], "    ^^^^^^^^^^^^^^^"),
        (["purge", "args:1"], "    ^^^^^"),
    ],
)
def test_a_mistake_in_a_filter_is_answered_with_its_place(
    command: list[str], carets: str, sample: "Application"
) -> None:
    finished = sample.jobq(*command)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.splitlines()[-1] == carets
    assert "Traceback" not in finished.stderr


def test_an_outcome_in_the_place_of_a_state_is_answered_with_what_was_meant(sample: "Application") -> None:
    listed, retried = sample.jobq("list", "errored", "since:1h"), sample.jobq("retry", "lost")
    assert (listed.returncode, retried.returncode) == (2, 2)
    assert "Say: jobq list outcome:errored since:1h, or " in listed.stderr
    assert "Say: jobq retry outcome:lost, or " in retried.stderr
    assert sample.jobq("list", '"errored"').returncode == 0


def test_a_term_that_no_index_serves_says_so(sample: "Application") -> None:
    assert "no index serves args.value" in sample.jobq("list", "finished", "args.value:7").stderr
    assert "index" not in sample.jobq("list", "finished", "since:1h args.value:7").stderr


def test_why_names_the_mend(sample: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Echo")
    store.execute("INSERT INTO jobq.queues VALUES ('default', now(), 'ana@ops')")

    text = sample.jobq("why", str(job)).stdout
    found = document(sample.jobq("why", str(job), "--json"))

    assert "paused" in text
    assert "→ jobq resume default" in text
    assert [reason["kind"] for reason in found["reasons"]] == ["paused", "no worker"]
    assert sample.jobq("why", "4711").returncode == 2


def test_doctor_ends_with_1_where_something_is_wrong(sample: "Application", store: "Store") -> None:
    found = document(sample.jobq("doctor", "--json"), exit_code=1)
    assert [(finding["check"], finding["remedy"]) for finding in found if finding["verdict"] == "wrong"] == [
        ("workers", "jobq run")
    ]
    text = sample.jobq("doctor").stdout
    assert "→ jobq run" in text
    assert "✓ fine   listen" in text


def test_doctor_finds_the_schema_missing(sample: "Application") -> None:
    finished = sample.jobq("doctor", "--schema", "elsewhere")
    assert finished.returncode == 1, finished.stderr
    assert "→ jobq migrate" in finished.stdout


def test_doctor_is_fine_beside_a_live_worker(sample: "Application", store: "Store", eventually: Any) -> None:
    with sample.start("run") as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        finished = sample.jobq("doctor")
    assert finished.returncode == 0, finished.stdout


def test_a_drained_worker_leaves_no_figures_behind(sample: "Application", store: "Store") -> None:
    store.add_many(*[{"job_class": "jobs.Echo", "queue": "mail"}] * 20)
    store.add(job_class="jobs.Fail", retries=0)
    drained(sample)

    found = document(sample.jobq("stats", "--since", "1h", "--json"))
    text = sample.jobq("stats", "--since", "1h").stdout

    assert (found["total"]["ended"], found["total"]["outcomes"]["errored"]) == (21, 1)
    assert {queue["name"]: queue["ended"] for queue in found["queues"]} == {"default": 1, "mail": 20}
    assert {one["name"]: one["ended"] for one in found["classes"]} == {"jobs.Echo": 20, "jobs.Fail": 1}
    assert found["total"]["run_seconds"]["p95"] is not None
    assert "21 jobs ended" in text
    only = document(sample.jobq("stats", "--since", "1h", "--queue", "default", "--json"))
    assert only["total"]["attempts"] == 1


def test_stats_refuses_what_makes_no_sense(sample: "Application") -> None:
    assert sample.jobq("stats", "--queue", "mail").returncode == 2
    assert "neither a duration" in sample.jobq("stats", "--since", "yesterday").stderr


def test_replay_runs_the_exact_arguments_and_touches_nothing(sample: "Application", store: "Store") -> None:
    value = {"$": "dict", "v": [[1, "a"]]}
    echo = store.add(job_class="jobs.Echo", arguments=json.dumps({"value": value}))
    failing = store.add(job_class="jobs.Fail")
    drained(sample)
    before = store.results()

    again = sample.jobq("replay", str(echo))
    raised = sample.jobq("replay", str(failing))

    assert (again.returncode, json.loads(again.stdout)) == (0, {"1": "a"})
    assert raised.returncode == 1
    assert "RuntimeError: the look-up failed" in raised.stderr
    assert store.results() == before
    assert store.unfinished() == []


def test_replay_with_pdb_lands_in_the_debugger(sample: "Application", store: "Store") -> None:
    failing = store.add(job_class="jobs.Fail")
    drained(sample)
    finished = sample.jobq("replay", str(failing), "--pdb", input="where\nquit\n")
    assert "(Pdb)" in finished.stdout
    assert "jobs.py" in finished.stdout


def test_replay_refuses_what_a_worker_may_run_at_the_same_time(sample: "Application", store: "Store") -> None:
    finished = sample.jobq("replay", str(store.add(job_class="jobs.Echo")))
    assert finished.returncode == 2
    assert "is pending" in finished.stderr


def test_edit_and_run_again_makes_a_new_job(sample: "Application", store: "Store") -> None:
    old = store.add(job_class="jobs.Echo", arguments='{"value": 1}')
    drained(sample)

    new = sample.jobq("retry", str(old), "--arguments", '{"value": 2}')
    wrong = sample.jobq("retry", str(old), "--arguments", '{"valu": 2}')
    no_json = sample.jobq("retry", str(old), "--arguments", "{")
    many = sample.jobq("retry", "1", "2", "--arguments", "{}")

    assert [(str(job.id), job.arguments) for job in store.unfinished()] == [(new.stdout.strip(), {"value": 2})]
    assert [result.id for result in store.results()] == [old]
    assert "no argument valu" in wrong.stderr
    assert "is not JSON" in no_json.stderr
    assert "ID of one job" in many.stderr
    assert {wrong.returncode, no_json.returncode, many.returncode} == {2}


def test_ids_that_are_none_are_refused(sample: "Application") -> None:
    finished = sample.jobq("retry", "9" * 30)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr


def test_nothing_that_operators_are_shown_takes_effect(sample: "Application", store: "Store", report: Any) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\u202e[red]x[/red]"
    worker = store.worker()
    job = store.add(queue=f"q{evil}", job_class=f"jobs.{evil}")
    (assignment,) = store.claim(worker, [f"q{evil}"], classes=[f"jobs.{evil}"])
    failed = report(
        assignment, "errored", error_type=evil, error_message=evil, traceback=evil, frame=evil, fingerprint=evil
    )
    store.finish(worker, failed)
    store.execute("INSERT INTO jobq.audit (who, verb, selection) VALUES (%s, %s, %s)", evil, evil, evil)
    waiting = store.add(queue=f"q{evil}", job_class=f"jobs.{evil}")
    store.execute("INSERT INTO jobq.queues VALUES (%s, now(), %s)", f"q{evil}", evil)

    for command in (["failures", "--examples"], ["audit"], ["why", str(job)], ["why", str(waiting)], ["doctor"]):
        finished = sample.jobq(*command)
        shown = finished.stdout + finished.stderr
        assert "Traceback" not in shown
        assert not set(shown) & {"\x1b", "\x07", "\u202e"}, command


def test_the_night_of_the_page_works_as_written(sample: "Application", store: "Store") -> None:
    """Each command of the section is run, in order; GROUP and ID stand for what is there."""
    ids = enqueue_failures(store, 2)
    drained(sample)
    (group,) = document(sample.jobq("failures", "--json"))
    section = INCIDENTS.read_text(encoding="utf-8").split("## At 3 am")[1].split("\n## ")[0]
    commands = re.findall(r"^\$ jobq (.+?)(?:\s+#.*)?$", section, re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        words = command.replace("GROUP", group["group"]).replace("4711", str(ids[0])).replace("order_id", "delay")
        finished = subprocess.run(
            ["/bin/sh", "-c", f"{COMMAND} {words}"], cwd=sample.path, input="y\n", capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert finished.returncode in ((1,) if words.split()[0] in ("doctor", "replay") else (0,)), (
            words, finished.stdout, finished.stderr,
        )  # fmt: skip


COMMAND = f"{sys.executable} -m jobq"


def test_a_retry_may_be_of_one_attempt_only(sample: "Application", store: "Store") -> None:
    (job,) = enqueue_failures(store, 1)
    drained(sample)
    later = sample.jobq("retry", f"{job}", "--attempt", "2")
    assert later.returncode == 1
    assert "attempt 2 was shown, which is not the last one: attempt 1 ended as errored" in later.stderr
    assert sample.jobq("retry", f"{job}", "--attempt", "1").stdout == "retried 1\n"
    again = sample.jobq("retry", f"{job}", "--attempt", "1")
    assert re.search(rf"job {job} was left alone: \S+@\S+ retried it at [\d:]+ UTC: it is pending now", again.stderr)
    unclear = sample.jobq("retry", "outcome:errored", "--attempt", "1")
    assert unclear.returncode == 2
    assert "--attempt goes with the ID of one job" in unclear.stderr
