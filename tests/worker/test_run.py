"""`jobq run` on real jobs: what becomes of them, in what order, and what the worker says."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]


def add(store: "Store", job_class: str, arguments: dict[str, Any] | None = None, **fields: Any) -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments or {}), **fields)
    assert job_id is not None
    return job_id


def drain(sample: "Application", *arguments: str, **environment: str) -> str:
    """Runs a worker until nothing is due, and returns its log."""
    finished = sample.jobq("run", "--drain", *arguments, environment=environment)
    assert finished.returncode in (0, 1), finished.stderr  # 1: a job failed
    return finished.stderr


def test_a_job_leaves_the_queue_for_the_history_with_what_it_returned(sample: "Application", store: "Store") -> None:
    job = add(store, "Echo", {"value": {"a": [1, None]}})

    drain(sample)

    (result,) = store.results(job)
    assert (result.outcome, result.attempt, result.retried, result.value) == ("successful", 1, False, {"a": [1, None]})
    assert result.enqueued_at <= result.started_at <= result.ended_at
    assert store.unfinished() == []


def test_an_error_keeps_its_type_message_and_whole_traceback(sample: "Application", store: "Store") -> None:
    job = add(store, "Fail")

    drain(sample)

    (result,) = store.results(job)
    assert result.outcome == "errored"
    assert (result.error_type, result.error_message) == ("RuntimeError", "the look-up failed")
    assert "return table[key]" in result.traceback
    assert "KeyError: 'missing'" in result.traceback
    assert "/jobq/runtime/" not in result.traceback


def test_a_retry_keeps_the_result_of_every_attempt(sample: "Application", store: "Store") -> None:
    job = add(store, "Fail", retries=2)

    drain(sample)

    results = store.results(job)
    assert [(result.attempt, result.retried) for result in results] == [(1, True), (2, True), (3, False)]


def test_a_retry_waits_for_the_delay_that_the_job_gives(sample: "Application", store: "Store") -> None:
    job = add(store, "Fail", {"delay": 3600}, retries=1)

    drain(sample)

    waiting = store.job(job)
    (result,) = store.results(job)
    assert (waiting.state, waiting.attempt) == ("scheduled", 1)
    assert (waiting.run_at - result.ended_at).total_seconds() == pytest.approx(3600, abs=60)


def test_higher_priority_first_then_first_come_first_served(
    sample: "Application", store: "Store", tmp_path: Path
) -> None:
    file = tmp_path / "order"
    for number, priority in enumerate([0, 5, 0, -3, 5, 0]):
        text = f"{priority}:{number}"
        add(store, "Note", {"file": str(file), "text": text}, priority=priority, queue=f"q{number % 2}")

    drain(sample, "--max-processes", "1")

    order = [tuple(map(int, line.split(":"))) for line in file.read_text().split()]
    assert [priority for priority, _ in order] == [5, 5, 0, 0, 0, -3]
    assert [number for priority, number in order if priority == 5] == [1, 4]


def test_a_full_queue_does_not_starve_another(sample: "Application", store: "Store", tmp_path: Path) -> None:
    file = tmp_path / "order"
    store.add_many(
        *(
            {"job_class": "jobs.Note", "arguments": json.dumps({"file": str(file), "text": "big"}), "queue": "big"}
            for _ in range(3000)
        )
    )
    add(store, "Note", {"file": str(file), "text": "small"}, queue="small")

    drain(sample)

    assert file.read_text().split().index("small") < 1500


def test_only_the_queues_named_are_worked(sample: "Application", store: "Store") -> None:
    wanted, other = add(store, "Echo", queue="wanted"), add(store, "Echo", queue="other")

    drain(sample, "--queue", "wanted")

    assert [result.id for result in store.results()] == [wanted]
    assert [job.id for job in store.unfinished()] == [other]


def test_jobs_of_unknown_classes_stay_and_are_named_in_the_log(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    unknown = add(store, "Gone")
    known = add(store, "Echo")

    with sample.start("run") as worker:
        eventually(lambda: store.results(known))
        eventually(lambda: "no worker knows jobs.Gone" in worker.stderr)

    assert [job.id for job in store.unfinished()] == [unknown]
    assert store.job(unknown).attempt == 0


def test_jobs_queued_under_an_old_name_run_by_the_alias(sample: "Application", store: "Store") -> None:
    job = add(store, "OldName")

    drain(sample)

    assert store.results(job)[0].value == "by its new name"


def test_arguments_too_large_for_a_packet_arrive_whole(sample: "Application", store: "Store") -> None:
    text = "large " * 100_000
    jobs = [add(store, "Echo", {"value": text}) for _ in range(3)]

    drain(sample)

    assert [store.results(job)[0].outcome for job in jobs] == ["successful"] * 3


def test_a_job_may_enqueue_another(sample: "Application", store: "Store") -> None:
    parent = add(store, "Parent")

    drain(sample)

    (result,) = store.results(parent)
    assert store.results(result.value)[0].value == "from its parent"


def test_a_coroutine_is_a_job_too(sample: "Application", store: "Store") -> None:
    job = add(store, "Later")

    drain(sample)

    assert store.results(job)[0].value == "awaited"


def test_children_are_replaced_after_so_many_jobs(sample: "Application", store: "Store") -> None:
    jobs = [add(store, "Process") for _ in range(20)]

    drain(sample, "--max-processes", "1", "--max-jobs-per-process", "4")

    pids = [store.results(job)[0].value for job in jobs]
    assert len(pids) == 20
    assert max(pids.count(pid) for pid in pids) <= 4


def test_a_scheduled_job_runs_when_it_is_due_and_not_before(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "1") as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        job = add(store, "Echo", delay=0.5)
        (result,) = eventually(lambda: store.results(job))

    assert result.started_at >= result.run_at


def test_an_idle_worker_is_woken_by_a_notification(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    with sample.start("run", environment={"JOBQ_POLL_EVERY": "3600"}) as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        eventually(lambda: store.rows("SELECT FROM jobq.workers WHERE waiting"))
        job = add(store, "Echo")
        eventually(lambda: store.results(job))


def test_without_notifications_the_poll_finds_the_job(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    with sample.start("run", environment={"JOBQ_POLL_EVERY": "0.2", "JOBQ_LISTEN": "false"}) as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        job = add(store, "Echo")
        eventually(lambda: store.results(job))
        assert not store.rows("SELECT FROM jobq.workers WHERE waiting")
        assert not store.rows(
            "SELECT FROM pg_stat_activity "
            "WHERE application_name = 'jobq worker listen' AND datname = current_database()"
        )


def test_a_paused_queue_is_left_alone_and_worked_again_when_it_is_resumed(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('slow', now())")
    paused, other = add(store, "Echo", queue="slow"), add(store, "Echo", queue="quick")

    with sample.start("run", environment={"JOBQ_POLL_EVERY": "0.2"}):
        eventually(lambda: store.results(other))
        assert not store.results(paused)
        store.execute("UPDATE jobq.queues SET paused_at = NULL")
        eventually(lambda: store.results(paused))


def test_the_statistics_say_what_was_done(sample: "Application", store: "Store", eventually: Eventually) -> None:
    for _ in range(5):
        add(store, "Echo")
    add(store, "Fail")

    with sample.start("run", "--stats-every", "0.3") as worker:
        eventually(lambda: sum(map(int, re.findall(r"stats processes=.* done=(\d+)", worker.stderr))) == 6)
        assert sum(map(int, re.findall(r"stats processes=.* failed=(\d+)", worker.stderr))) == 1


def test_statistics_can_be_turned_off(sample: "Application", store: "Store") -> None:
    add(store, "Echo")

    assert "stats" not in drain(sample, "--stats-every", "0")


def test_the_log_can_be_json_lines(sample: "Application", store: "Store") -> None:
    add(store, "Die", {"how": "kill"})

    log = [json.loads(line) for line in drain(sample, "--log-format", "json").splitlines()]

    assert {"info", "warning"} <= {entry["level"] for entry in log}
    assert any("SIGKILL" in entry["message"] for entry in log)


def test_an_application_that_does_not_import_is_refused_with_its_own_traceback(sample: "Application") -> None:
    sample.write("jobs.py", "import nothing_of_that_name\n")

    finished = sample.jobq("run")

    assert finished.returncode == 2
    assert "No module named 'nothing_of_that_name'" in finished.stderr
    assert "jobs.py" in finished.stderr
    assert "importlib" not in finished.stderr


def test_a_worker_with_nothing_registered_says_where_it_looked(sample: "Application") -> None:
    sample.write("jobs.py", "")

    finished = sample.jobq("run")

    assert finished.returncode == 2
    assert "No job class is registered" in finished.stderr
    assert str(sample.path) in finished.stderr


def test_a_worker_refuses_a_database_without_the_schema(sample: "Application") -> None:
    finished = sample.jobq("run", "--schema", "elsewhere")

    assert finished.returncode == 3
    assert "jobq migrate" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_two_workers_share_the_work_and_no_job_runs_twice(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    file = tmp_path / "ran"

    with sample.start("run") as first, sample.start("run") as second:
        eventually(lambda: "application loaded" in first.stderr and "application loaded" in second.stderr)
        store.add_many(
            *(
                {"job_class": "jobs.Note", "arguments": json.dumps({"file": str(file), "text": number})}
                for number in range(2000)
            )
        )
        eventually(lambda: not store.unfinished())

    ran = file.read_text().split()
    assert sorted(map(int, ran)) == list(range(2000))
    assert len({result.worker_id for result in store.results()}) == 2


def test_a_job_behind_a_long_one_is_taken_by_another_child(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    # Short jobs first, so that children are given several at once; then one that does not end, amid others.
    store.add_many(*({"job_class": "jobs.Echo", "arguments": "{}"} for _ in range(500)))
    started, go = tmp_path / "started", tmp_path / "go"
    add(store, "Wait", {"started": str(started), "go": str(go)})
    store.add_many(*({"job_class": "jobs.Echo", "arguments": "{}"} for _ in range(500)))

    with sample.start("run", "--max-processes", "2"):
        eventually(lambda: len(store.results()) == 1000)
        assert started.exists()
        go.touch()
        eventually(lambda: len(store.results()) == 1001)


def test_jobs_claimed_ahead_are_given_back_while_every_child_is_busy(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    store.add_many(*({"job_class": "jobs.Echo", "arguments": "{}"} for _ in range(500)))
    go = tmp_path / "go"
    add(store, "Wait", {"started": str(tmp_path / "started"), "go": str(go)})
    behind = [add(store, "Echo") for _ in range(50)]

    with sample.start("run", "--max-processes", "1") as busy:
        eventually(lambda: (tmp_path / "started").exists())
        eventually(lambda: all(store.job(job).state == "pending" for job in behind))
        assert {store.job(job).attempt for job in behind} == {0}
        with sample.start("run", "--max-processes", "1"):
            eventually(lambda: all(store.results(job) for job in behind))
        go.touch()
        busy.signal(signal.SIGTERM)
        assert busy.wait() == 0


def test_a_class_that_describes_itself_in_odd_characters_does_not_stop_the_heart_of_its_worker(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    """PostgreSQL stores neither NUL nor half a pair. A worker that cannot say what it knows is declared dead."""
    sample.write(
        "odd.py",
        r"""
        from jobq import Job, register_job

        class Odd:
            def __repr__(self):
                return "nul \0 and half \ud800"

        @register_job
        class Split(Job):
            "Splits at \0."

            def __init__(self, at=Odd()):
                pass

            def run(self):
                pass
        """,
    )

    with sample.start("run", "--app", "odd") as worker:
        known = eventually(
            lambda: store.rows("SELECT classes FROM jobq.workers WHERE strpos(classes::text, 'odd.Split') > 0")
        )
        log = worker.stderr

    (split,) = (entry for entry in known[0].classes if entry["name"] == "odd.Split")
    assert split["summary"] == "Splits at ␀."
    assert split["parameters"][0]["default"] == "nul ␀ and half \\ud800"
    assert "service failed" not in log
