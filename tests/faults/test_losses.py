"""Losses are counted for what had begun, and for nothing else, however workers die."""

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]

JOBS = """
    import os
    import signal
    import time
    from pathlib import Path

    from jobq import Job, register_job


    @register_job
    class Quick(Job):
        def run(self):
            pass


    @register_job
    class KillsItsWorker(Job):
        def run(self):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)


    @register_job
    class Waits(Job):
        def __init__(self, go):
            self.go = go

        def run(self):
            while not Path(self.go).exists():
                time.sleep(0.01)
"""

TELLS = "SELECT FROM jobq.workers WHERE stopped_at IS NULL AND status -> 'begun' ? %s"
"""A worker that lives has told with its heartbeat that a job has begun."""

QUICK = {"JOBQ_MAX_LOSSES": "2", "JOBQ_POLL_EVERY": "0.1", "JOBQ_STATS_EVERY": "0"}


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def has_died(worker: "Started") -> bool:
    return worker.process.poll() is not None


def declare_dead(store: "Store") -> None:
    """All workers that are not known to have ended, as after their heartbeat's timeout."""
    store.execute("UPDATE jobq.workers SET stopped_at = now(), stop_reason = 'silent' WHERE stopped_at IS NULL")


def lost_attempts(store: "Store", job: int | None) -> list[tuple[bool, bool]]:
    """Of each lost attempt: whether it is known to have begun, and whether another followed."""
    return [(one.started_at is not None, one.retried) for one in store.results(job) if one.outcome == "lost"]


def test_a_job_that_kills_its_worker_is_found_out_and_its_neighbours_are_not_blamed(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    before = [store.add(job_class="jobs.Quick") for _ in range(60)]  # so that short jobs are claimed by dozens
    poison = store.add(job_class="jobs.KillsItsWorker")
    neighbours = [store.add(job_class="jobs.Quick") for _ in range(60)]

    for _ in range(3):
        with app.start("run", "-p", "1", environment=QUICK) as worker:
            eventually(lambda worker=worker: has_died(worker))
        declare_dead(store)
    assert app.jobq("run", "-p", "1", "--drain", environment=QUICK).returncode == 1

    assert lost_attempts(store, poison) == [(False, True), (True, True), (True, False)]
    for job in (*before, *neighbours):
        assert not any(began for began, _ in lost_attempts(store, job)), "it had not begun"
        assert store.results(job)[-1].outcome == "successful"
    assert store.unfinished() == []


def test_only_the_job_that_had_begun_counts_a_loss_each_time_its_worker_is_killed(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    began = store.add(job_class="jobs.Waits", arguments='{"go": "go"}', priority=5)
    waiting = [store.add(job_class="jobs.Waits", arguments='{"go": "go"}') for _ in range(3)]
    beats = {**QUICK, "JOBQ_HEARTBEAT_EVERY": "0.05", "JOBQ_HEARTBEAT_TIMEOUT": "60"}
    for _ in range(2):
        with app.start("run", "-p", "1", environment=beats) as worker:
            eventually(lambda: store.rows(TELLS, str(began)))
            os.kill(worker.pid, signal.SIGKILL)
            eventually(lambda worker=worker: has_died(worker))
        declare_dead(store)
        store.rescue(max_losses=2)

    assert lost_attempts(store, began) == [(True, True), (True, False)]
    started = [one.started_at for one in store.results(began)]
    assert all(
        one.run_at <= began_at <= one.ended_at for one, began_at in zip(store.results(began), started, strict=True)
    )
    (app.path / "go").touch()
    app.jobq("run", "--drain", environment=QUICK)
    assert all(store.results(job)[-1].outcome == "successful" for job in waiting)
    assert not any(began for job in waiting for began, _ in lost_attempts(store, job))


def test_a_job_that_may_have_begun_is_not_counted_as_lost_until_it_is_known_to_have(store: "Store") -> None:
    job = store.add()
    for _ in range(5):
        dead = store.worker()
        (claimed,) = store.claim(dead)
        store.declare_dead(dead)
        (rescued,) = store.rescue(max_losses=1)
        assert rescued.retried
    assert (claimed.losses, claimed.suspected) == (0, True)
    assert {(one.started_at, one.outcome) for one in store.results(job)} == {(None, "lost")}
    assert "does not count as a loss" in store.results(job)[-1].error_message


def test_a_suspect_that_was_given_back_or_has_ended_by_itself_is_as_before(store: "Store", report: Any) -> None:
    job, dead, worker = store.add(retries=3), store.worker(), store.worker()
    store.claim(dead)
    store.declare_dead(dead)
    store.rescue()
    (suspect,) = store.claim(worker)
    store.give_back(worker, suspect)
    (again,) = store.claim(worker)
    assert (suspect.suspected, again.suspected, again.attempt) == (True, True, suspect.attempt)
    store.retry(worker, report(again, "errored", retry_delay=0.0))
    (cleared,) = store.claim(worker)
    assert (cleared.suspected, store.job(job).begun_at) == (None, None)


def rests_and_losses(store: "Store", *ids: int | None) -> list[int]:
    """How many losses each of these jobs counts; they are unfinished."""
    return [store.job(job).losses for job in ids]


def test_what_a_worker_had_that_was_stopping_counts_no_loss_and_is_not_suspected(store: "Store") -> None:
    job = store.add()
    for _ in range(4):
        worker = store.worker()
        (claimed,) = store.claim(worker)
        assert not claimed.suspected
        store.declare_dead(worker, claimed, is_stopping=True)
        (rescued,) = store.rescue(max_losses=1)
        assert rescued.retried
    assert rests_and_losses(store, job) == [0]
    last = store.results(job)[-1]
    assert (last.outcome, last.retried, last.fingerprint) == ("lost", True, None)
    assert last.error_message.endswith("; it was stopping, so this does not count as a loss")


def test_jobs_that_were_lost_together_run_apart_before_one_of_them_counts_a_loss(store: "Store") -> None:
    jobs = [store.add() for _ in range(4)]
    worker = store.worker()
    claimed = store.claim(worker)
    store.declare_dead(worker, *claimed)
    assert all(one.retried for one in store.rescue(max_losses=1))
    assert rests_and_losses(store, *jobs) == [0, 0, 0, 0]
    assert "other jobs were lost with it" in store.results(jobs[0])[-1].error_message

    worker = store.worker()
    poison, *others = store.claim(worker)
    assert all(one.suspected for one in (poison, *others))
    store.begin(worker, poison)
    store.declare_dead(worker, poison, *others)
    assert {one.id: one.retried for one in store.rescue(max_losses=1)} == dict(
        zip(jobs, [False, True, True, True], strict=True)
    ), "the one that ran apart is found out; its neighbours are not blamed"
    assert rests_and_losses(store, *jobs[1:]) == [0, 0, 0]


def test_of_several_that_ran_apart_none_is_given_up(store: "Store") -> None:
    jobs = [store.add() for _ in range(3)]
    for losses in (1, 2, 2, 2):
        worker = store.worker()
        claimed = store.claim(worker)
        store.begin(worker, *claimed)
        store.declare_dead(worker)
        assert all(one.retried for one in store.rescue(max_losses=3))
        assert rests_and_losses(store, *jobs) == [losses] * 3
        store.execute("UPDATE jobq.jobs SET suspected = true")
    worker = store.worker()
    (alone, *_) = store.claim(worker)
    store.begin(worker, alone)
    store.declare_dead(worker)
    assert {one.id for one in store.rescue(max_losses=3) if not one.retried} == {alone.id}


IN_TWO = """
    SELECT child ->> 'pid' AS pid, (child ->> 'job')::bigint AS job
    FROM jobq.workers, jsonb_array_elements(status -> 'children') AS child
    WHERE (SELECT count(*) FROM jobq.jobs WHERE begun_at IS NOT NULL OR NOT %s) = 2 AND child ->> 'job' IS NOT NULL
"""
"""The processes of both jobs, as the last heartbeat told of them; where `apart`, each has begun with a commit."""


def test_children_that_are_killed_at_once_count_no_loss_and_one_alone_counts(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    first, second = [store.add(job_class="jobs.Waits", arguments='{"go": "go"}') for _ in range(2)]
    beats = {**QUICK, "JOBQ_HEARTBEAT_EVERY": "0.05", "JOBQ_HEARTBEAT_TIMEOUT": "60"}
    before: set[str] = set()

    def both(*, apart: bool) -> Any:
        rows = store.rows(IN_TWO, apart)
        return len(rows) == 2 and before.isdisjoint(row.pid for row in rows) and rows

    with app.start("run", "-p", "2", environment=beats) as worker:
        processes = eventually(lambda: both(apart=False))
        before |= {one.pid for one in processes}
        os.kill(worker.pid, signal.SIGSTOP)  # it notices both deaths at once, however busy the machine is
        for one in processes:
            os.kill(int(one.pid), signal.SIGKILL)
        os.kill(worker.pid, signal.SIGCONT)
        processes = eventually(lambda: both(apart=True))
        assert rests_and_losses(store, first, second) == [0, 0]
        assert all("other jobs were lost with it" in store.results(job)[0].error_message for job in (first, second))

        os.kill(next(int(one.pid) for one in processes if one.job == second), signal.SIGKILL)
        eventually(lambda: store.results(second)[1:])
        assert rests_and_losses(store, first, second) == [0, 1]
        (app.path / "go").touch()
        eventually(lambda: not store.unfinished())
    assert [store.results(job)[-1].outcome for job in (first, second)] == ["successful", "successful"]


@pytest.fixture
def deployed(app: "Application", store: "Store", eventually: Eventually) -> Callable[[int], None]:
    """A deploy: a signal, and SIGKILL when the platform's time is over."""

    def deploy(number: int) -> None:
        with app.start("run", "-p", "2", environment=DEPLOYED) as worker:
            eventually(lambda: store.rows("SELECT FROM jobq.jobs WHERE state = 'running' HAVING count(*) = 2"))
            eventually(lambda: store.rows(TELLS_TWO))
            worker.signal(number)
            eventually(lambda: "stopping running=2" in worker.stderr)
            eventually(
                lambda: store.rows("SELECT FROM jobq.workers WHERE stopped_at IS NULL AND stopping_at IS NOT NULL")
            )
            os.killpg(worker.pid, signal.SIGKILL)
            eventually(lambda: has_died(worker))
        declare_dead(store)
        store.rescue(max_losses=1)

    return deploy


DEPLOYED = {**QUICK, "JOBQ_MAX_LOSSES": "1", "JOBQ_HEARTBEAT_EVERY": "0.05", "JOBQ_HEARTBEAT_TIMEOUT": "60"}

TELLS_TWO = """
    SELECT FROM jobq.workers
    WHERE stopped_at IS NULL AND (SELECT count(*) FROM jsonb_object_keys(status -> 'begun')) = 2
"""


def test_deploys_that_kill_count_no_loss_of_a_job_that_did_nothing_wrong(
    app: "Application", store: "Store", deployed: Callable[[int], None]
) -> None:
    jobs = [store.add(job_class="jobs.Waits", arguments='{"go": "go"}', retries=5) for _ in range(2)]
    for number in (signal.SIGTERM, signal.SIGUSR1):  # one counted loss would bring them to rest
        deployed(number)
    assert rests_and_losses(store, *jobs) == [0, 0]
    (app.path / "go").touch()
    assert app.jobq("run", "--drain", environment=DEPLOYED).returncode == 0
    assert [store.results(job)[-1].outcome for job in jobs] == ["successful", "successful"]


def test_a_stop_that_kills_the_children_first_counts_no_loss(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    job = store.add(job_class="jobs.Waits", arguments='{"go": "go"}')
    with app.start("run", "-p", "1", environment=DEPLOYED) as worker:
        eventually(lambda: store.rows(TELLS, str(job)))
        (child,) = store.rows("SELECT status #>> '{children,0,pid}' AS pid FROM jobq.workers")
        worker.signal(signal.SIGTERM)
        eventually(lambda: "stopping running=1" in worker.stderr)
        os.kill(int(child.pid), signal.SIGKILL)
        assert worker.wait() == 0
    assert rests_and_losses(store, job) == [0]
    assert [(one.error_type, one.retried) for one in store.results(job)] == [("CutOff", True)]
