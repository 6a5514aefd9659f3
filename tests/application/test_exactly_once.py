"""A job that completes itself in its own transaction: what it did and its end are there together, or neither is."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

QUICK = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1.5", "JOBQ_POLL_EVERY": "0.5"}

SHOPS = Path(__file__).parent / "shops"

AT_COMMIT = """
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
"""
"""Holds transactions up within their COMMIT, for as long as somebody has the lock."""


@pytest.fixture
def shop(application: "Application", store: "Store") -> "Application":
    application.write("jobs.py", (SHOPS / "exactly_once.py").read_text())
    store.execute("CREATE TABLE payments (job bigint NOT NULL)")
    return application


def pay(store: "Store", folder: Path, hold_at: str | None = None) -> int:
    job = store.add(job_class="jobs.Pay", arguments=json.dumps({"folder": str(folder), "hold_at": hold_at}))
    assert job is not None
    return job


def payments(store: "Store", job: int) -> int:
    return len(store.rows("SELECT FROM payments WHERE job = %s", job))


def successes(store: "Store", job: int) -> list[Any]:
    return [result.value for result in store.results(job) if result.outcome == "successful"]


def held_pid(folder: Path) -> int | None:
    file = folder / "held"
    return int(file.read_text()) if file.exists() and file.read_text() else None


def test_a_job_that_completes_itself_is_done_when_its_transaction_commits(
    shop: "Application", store: "Store", tmp_path: Path
) -> None:
    job = pay(store, tmp_path)

    finished = shop.jobq("run", "--drain")

    (result,) = store.results(job)
    assert (result.outcome, result.value, result.attempt) == ("successful", {"paid": job}, 1)
    assert result.cpu_seconds is not None
    assert payments(store, job) == 1
    assert "too late" not in finished.stderr


@pytest.mark.parametrize("victim", ["child", "worker"])
@pytest.mark.parametrize("step", ["begun", "paid", "completed", "committed"])
def test_killed_at_any_step_it_has_paid_once_and_ended_once(
    shop: "Application", store: "Store", tmp_path: Path, eventually: Eventually, step: str, victim: str
) -> None:
    job = pay(store, tmp_path, hold_at=step)

    with shop.start("run", environment=QUICK) as worker:
        pid = eventually(lambda: held_pid(tmp_path))
        os.kill(pid if victim == "child" else worker.pid, signal.SIGKILL)
        if victim == "child":
            eventually(lambda: successes(store, job))
            worker.signal(signal.SIGTERM)
            worker.wait()
        log = worker.stderr
    with shop.start("run", environment=QUICK) as another:
        eventually(lambda: not store.unfinished())
        another.signal(signal.SIGTERM)
        another.wait()
        log += another.stderr

    assert payments(store, job) == 1
    assert successes(store, job) == [{"paid": job}]
    lost = [result.outcome for result in store.results(job)][:-1]
    assert lost == ([] if step == "committed" else ["lost"])
    assert "too late" not in log


def test_killed_within_its_commit_it_has_paid_once_and_ended_once(
    shop: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    """The server commits what nobody waits for any more; the report of the death must not be believed before that."""
    store.execute(AT_COMMIT)
    job = pay(store, tmp_path)

    with shop.start("run", environment=QUICK) as worker, store.another() as holder:
        holder.execute("SELECT pg_advisory_lock(7)")
        eventually(lambda: "application loaded" in worker.stderr)
        store.wait_until_another_waits()
        child = eventually(lambda: running_child(store))
        os.kill(child, signal.SIGKILL)
        eventually(lambda: "killed by SIGKILL" in worker.stderr)
        other = store.add(job_class="jobs.Pay", arguments=json.dumps({"folder": str(tmp_path)}))
        holder.execute("SELECT pg_advisory_unlock(7)")
        eventually(lambda: not store.unfinished())
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        log = worker.stderr

    assert (payments(store, job), successes(store, job)) == (1, [{"paid": job}])
    assert (payments(store, other), successes(store, other)) == (1, [{"paid": other}])
    assert "too late" not in log


def running_child(store: "Store") -> int | None:
    """The process of the job that runs, as its worker's heartbeat tells it; None until it does."""
    rows = store.rows(
        "SELECT child ->> 'pid' AS pid FROM jobq.workers, jsonb_array_elements(status -> 'children') AS child "
        "WHERE child ->> 'job' IS NOT NULL"
    )
    return int(rows[0].pid) if rows else None


def test_a_report_waits_for_an_open_transaction_and_holds_no_other_up(
    shop: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    store.execute(AT_COMMIT)
    first = pay(store, tmp_path)

    with shop.start("run", "--max-processes", "2", environment=QUICK) as worker, store.another() as holder:
        holder.execute("SELECT pg_advisory_lock(7)")
        store.wait_until_another_waits()
        pid = eventually(lambda: running_child(store))
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: "killed by SIGKILL" in worker.stderr)
        refused = store.add(job_class="jobs.Pay", arguments='{"unknown": 1}')
        eventually(lambda: store.results(refused))
        assert [job.id for job in store.unfinished()] == [first]
        holder.execute("SELECT pg_advisory_unlock(7)")
        eventually(lambda: not store.unfinished())

    assert (payments(store, first), successes(store, first)) == (1, [{"paid": first}])
