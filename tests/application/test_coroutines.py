"""Jobs whose run() is a coroutine: one after another in one loop, or side by side, and each still on its own."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]

QUICK = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_POLL_EVERY": "0.5", "JOBQ_CANCEL_GRACE": "1"}

JOBS = """
import asyncio
import os
import time
from pathlib import Path

from jobq import Job, register_job

TOGETHER = 0


@register_job
class Meet(Job):
    '''Ends when so many of its kind run in its process at once.'''

    def __init__(self, many, luggage=""):
        self.many = many

    async def run(self):
        global TOGETHER
        TOGETHER += 1
        while TOGETHER < self.many:
            await asyncio.sleep(0.01)
        return os.getpid()


@register_job
class Wait(Job):
    def __init__(self, go, manner="obedient"):
        self.go, self.manner = Path(go), manner

    async def run(self):
        self.progress(1, 3, f"job {self.job.id} waits")
        while not self.go.exists():
            try:
                if self.manner == "blocking":
                    time.sleep(0.01)
                else:
                    await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if self.manner != "stubborn":
                    raise
        return os.getpid()


@register_job
class Ordinary(Job):
    def run(self):
        time.sleep(0.2)
        return os.getpid()


@register_job
class Loop(Job):
    async def run(self):
        asyncio.create_task(asyncio.sleep(600))
        return [id(asyncio.get_running_loop()), len(asyncio.all_tasks())]


@register_job
class Die(Job):
    async def run(self):
        await asyncio.sleep(0.1)
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def add(store: "Store", job_class: str, arguments: dict[str, Any] | None = None, **fields: Any) -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments or {}), **fields)
    assert job_id is not None
    return job_id


def outcomes(store: "Store", job: int) -> list[str]:
    return [result.outcome for result in store.results(job)]


def worker(app: "Application", *arguments: str) -> Any:
    return app.start("run", "--max-processes", "1", "--concurrency", "50", *arguments, environment=QUICK)


def is_running(store: "Store", *jobs: int) -> bool:
    return all(job is not None and job.progress is not None for job in map(store.job, jobs))


def test_coroutines_one_after_another_share_a_loop_and_leave_nothing_in_it(app: "Application", store: "Store") -> None:
    jobs = [add(store, "Loop") for _ in range(3)]
    app.jobq("run", "--drain", "--max-processes", "1")
    loops = [store.results(job)[0].value for job in jobs]
    assert len({loop for loop, _ in loops}) == 1
    assert [tasks for _, tasks in loops] == [2, 2, 2]


def test_a_child_runs_as_many_coroutines_at_once_as_it_may_beside_its_ordinary_job(
    app: "Application", store: "Store"
) -> None:
    jobs = [add(store, "Meet", {"many": 50, "luggage": "x" * size}) for size in [0, 50_000] * 25]
    ordinary = [add(store, "Ordinary") for _ in range(3)]
    finished = app.jobq("run", "--drain", "--max-processes", "1", "--concurrency", "50")
    assert finished.returncode == 0, finished.stderr
    assert len({store.results(job)[0].value for job in (*jobs, *ordinary)}) == 1


def test_a_coroutine_is_cancelled_alone(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    go = str(tmp_path / "go")
    with worker(app) as run:
        cancelled, late, other = add(store, "Wait", {"go": go}), add(store, "Wait", {"go": go}, timeout=1.0), None
        other = add(store, "Wait", {"go": go})
        eventually(lambda: is_running(store, cancelled, other))
        assert app.jobq("cancel", str(cancelled)).returncode == 0
        eventually(lambda: outcomes(store, cancelled) == ["cancelled"])
        eventually(lambda: outcomes(store, late) == ["errored"])
        (tmp_path / "go").touch()
        eventually(lambda: outcomes(store, other) == ["successful"])
        stop(run)
    (timed_out,) = store.results(late)
    assert timed_out.error_type == "TimedOut"
    assert "in run" in timed_out.traceback
    assert "killed" not in run.stderr


@pytest.mark.parametrize("manner", ["stubborn", "blocking"])
def test_one_that_does_not_obey_is_killed_and_its_neighbours_run_again_with_nothing_held_against_them(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually, manner: str
) -> None:
    go = str(tmp_path / "go")
    with worker(app) as run:
        neighbour = add(store, "Wait", {"go": go})
        eventually(lambda: is_running(store, neighbour))
        bad = add(store, "Wait", {"go": str(tmp_path / "never"), "manner": manner})
        eventually(lambda: store.job(bad).state == "running")
        assert app.jobq("cancel", str(bad)).returncode == 0
        eventually(lambda: outcomes(store, bad) == ["cancelled"])
        (tmp_path / "go").touch()
        eventually(lambda: outcomes(store, neighbour)[-1:] == ["successful"])
        stop(run)
    (result,) = store.results(bad)
    assert "its process was killed" in result.error_message
    cut_off, _ = store.results(neighbour)
    assert (cut_off.outcome, cut_off.error_type) == ("lost", "CutOff")
    assert f"for another job in it, {bad}" in cut_off.error_message
    if manner == "blocking":
        assert "jobs.py" in result.traceback


def test_one_that_kills_its_process_comes_to_rest_and_its_neighbours_do_not(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    with worker(app, "--max-jobs-per-process", "1000") as run:
        neighbour = add(store, "Wait", {"go": str(tmp_path / "go")})
        eventually(lambda: is_running(store, neighbour))
        die = add(store, "Die")
        eventually(lambda: outcomes(store, die) == ["lost"] and outcomes(store, neighbour) == ["lost"])
        (tmp_path / "go").touch()
        eventually(lambda: outcomes(store, neighbour) == ["lost", "successful"])
        stop(run)


def test_what_a_coroutine_waits_for_is_told_and_how_far_it_is(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    go = str(tmp_path / "go")
    with worker(app):
        jobs = [add(store, "Wait", {"go": go}) for _ in range(5)]
        eventually(lambda: is_running(store, *jobs))
        for job in jobs:
            assert f"job {job} waits" in json.dumps(store.job(job).progress)
        waiting = app.jobq("stack", str(jobs[3]))
        assert "await asyncio.sleep" in waiting.stdout or "in run" in waiting.stdout, waiting.stderr
        blocking = add(store, "Wait", {"go": str(tmp_path / "never"), "manner": "blocking"})
        eventually(lambda: store.job(blocking).state == "running")
        assert "in run" in app.jobq("stack", str(blocking)).stdout


def test_a_worker_that_stops_gives_its_coroutines_time_and_gives_back_those_that_take_longer(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    with worker(app, "--shutdown-grace", "1") as run:
        job = add(store, "Wait", {"go": str(tmp_path / "never")})
        eventually(lambda: is_running(store, job))
        stop(run)
    assert store.job(job).state == "pending"
    assert [result.error_type for result in store.results(job)] == ["CutOff"]


def test_coroutines_of_a_worker_that_is_killed_are_rescued(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    go = tmp_path / "go"
    with worker(app) as run:
        jobs = [add(store, "Wait", {"go": str(go)}) for _ in range(5)]
        eventually(lambda: is_running(store, *jobs))
        os.kill(run.pid, signal.SIGKILL)
    go.touch()
    (killed,) = store.rows("SELECT id FROM jobq.workers")
    store.declare_dead(killed.id)
    with worker(app):
        eventually(lambda: not store.unfinished())
    assert {tuple(outcomes(store, job)) for job in jobs} == {("lost", "successful")}


def test_coroutines_that_are_scheduled_or_retried_are_claimed_in_time(
    app: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    (tmp_path / "go").touch()
    with worker(app):
        jobs = [add(store, "Wait", {"go": str(tmp_path / "go")}, delay=0.3) for _ in range(3)]
        eventually(lambda: all(outcomes(store, job) == ["successful"] for job in jobs), timeout=10)


def stop(run: "Started") -> None:
    run.signal(signal.SIGTERM)
    assert run.wait() == 0
