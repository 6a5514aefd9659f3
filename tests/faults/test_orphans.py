"""What jobs start ends with what it belongs to: with a lost attempt, with a process that ends, with the worker."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from jobq import processes
from jobq.processes import MARK, children_of, has_mark, marked
from jobq.runtime.process import Death, Process

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
    import multiprocessing
    import os
    import signal
    import subprocess
    import sys
    import time
    from pathlib import Path

    from jobq import Job, register_job

    SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


    def by_subprocess():
        return subprocess.Popen(SLEEP).pid

    def by_shell():
        return int(subprocess.check_output("sleep 600 >/dev/null 2>&1 & echo $!", shell=True))

    def by_session():
        return subprocess.Popen(SLEEP, start_new_session=True).pid

    def by_daemon():  # twice forked, in a session of its own, its parent gone
        script = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); os.close(1);"
        return int(subprocess.check_output([sys.executable, "-S", "-c", script + "time.sleep(600)"]))

    def by_multiprocessing():
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=[600])
        process.start()
        return process.pid

    def by_bare_environment():
        return subprocess.Popen(SLEEP, env={}).pid


    @register_job
    class Leave(Job):
        def __init__(self, how, left, then):
            self.how, self.left, self.then = how, left, then

        def run(self):
            pid = globals()[f"by_{self.how}"]()
            Path(self.left).write_text(str(pid))
            time.sleep(0.03)
            if self.then == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.then == "stay":
                time.sleep(600)


    @register_job
    class LeaveNothing(Leave):
        end_processes = True
"""

WAYS = ["subprocess", "shell", "session", "daemon", "multiprocessing", "bare_environment"]


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Path]:
    """Where a job writes the number of the process that it leaves."""
    yield tmp_path / "left"
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int((tmp_path / "left").read_text())
        assert not is_running(pid), "a test left a process running"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before, or while it was read
        return False


def pid_in(file: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int(file.read_text())
    return None


def add(application: "Application", store: "Store", how: str, left: Path, then: str, job_class: str = "Leave") -> int:
    application.write("jobs.py", JOBS)
    arguments = json.dumps({"how": how, "left": str(left), "then": then})
    return int(store.add(job_class=f"jobs.{job_class}", arguments=arguments))


@pytest.mark.parametrize("how", WAYS)
def test_what_a_lost_attempt_started_has_ended_before_the_job_runs_again(
    application: "Application", store: "Store", eventually: Eventually, left: Path, how: str
) -> None:
    job = add(application, store, how, left, "die")
    with application.start("run", "--max-processes", "1", environment={"JOBQ_MAX_LOSSES": "1"}):
        eventually(lambda: [result.outcome for result in store.results(job)] == ["lost"])
        assert not is_running(pid_in(left) or 0)


def test_what_short_jobs_started_is_killed_where_their_class_asks(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    """A process starts within a fraction of a millisecond: most of these jobs are too short for a look otherwise."""
    application.write(
        "jobs.py",
        """
        import subprocess

        from jobq import Job, register_job

        @register_job(alias="jobs.Draw")
        class Render(Job):
            end_processes = True

            def run(self):
                return subprocess.Popen(["sleep", "600"]).pid
        """,
    )
    store.add_many(*({"job_class": f"jobs.{name}"} for name in ["Render", "Draw"] * 10))
    with application.start("run", "--max-processes", "1"):
        eventually(lambda: len(store.results()) == 20)
        assert {result.outcome for result in store.results()} == {"successful"}
        eventually(lambda: not any(is_running(result.value) for result in store.results()))


@pytest.mark.parametrize("how", ["session", "daemon"])
def test_what_a_job_started_that_timed_out_ends_with_its_process(
    application: "Application", store: "Store", eventually: Eventually, left: Path, how: str
) -> None:
    add(application, store, how, left, "stay")
    store.execute("UPDATE jobq.jobs SET timeout = 0.5")
    with application.start("run", "--max-processes", "1", environment={"JOBQ_CANCEL_GRACE": "1"}):
        pid = eventually(lambda: pid_in(left))
        eventually(lambda: [result.error_type for result in store.results()] == ["TimedOut"])
        eventually(lambda: not is_running(pid))


@pytest.mark.parametrize("how", [way for way in WAYS if way != "bare_environment"])
def test_nothing_that_a_job_started_outlives_a_worker_that_is_killed(
    application: "Application", store: "Store", eventually: Eventually, left: Path, how: str
) -> None:
    add(application, store, how, left, "stay")
    with application.start("run", "--max-processes", "1") as worker:
        pid = eventually(lambda: pid_in(left))
        worker.process.kill()
        worker.wait()
        eventually(lambda: not is_running(pid))


def test_a_janitor_that_was_killed_is_started_again(
    application: "Application", store: "Store", eventually: Eventually, left: Path
) -> None:
    application.write("jobs.py", JOBS)
    with application.start("run", "--max-processes", "1") as worker:
        (first,) = eventually(lambda: janitors_of(worker.pid))
        os.kill(first, signal.SIGKILL)
        (second,) = eventually(lambda: [pid for pid in janitors_of(worker.pid) if pid != first])
        assert "the janitor was killed" in worker.stderr
        add(application, store, "subprocess", left, "stay")
        pid = eventually(lambda: pid_in(left))
        worker.process.kill()
        worker.wait()
        eventually(lambda: not is_running(pid) and not is_running(second))


def janitors_of(worker: int) -> list[int]:
    """The processes of a worker that run the janitor's program; one that is being started has no words yet."""
    found = []
    for pid in children_of(worker):
        with suppress(OSError):
            if processes.__file__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


@pytest.mark.parametrize("how", WAYS)
def test_what_a_job_leaves_after_a_clean_end_is_warned_about_and_ends_with_the_worker(
    application: "Application", store: "Store", eventually: Eventually, left: Path, how: str
) -> None:
    add(application, store, how, left, "end")
    with application.start("run", "--max-processes", "1") as worker:
        eventually(lambda: [result.outcome for result in store.results()] == ["successful"])
        pid = pid_in(left) or 0
        assert is_running(pid)
        if how not in ("daemon", "shell"):  # these are nobody's children any more
            eventually(lambda: "a job left running processes" in worker.stderr)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert not is_running(pid)


def test_a_class_may_want_its_processes_killed_when_it_ends(
    application: "Application", store: "Store", eventually: Eventually, left: Path
) -> None:
    add(application, store, "session", left, "end", "LeaveNothing")
    with application.start("run", "--max-processes", "1") as worker:
        eventually(lambda: [result.outcome for result in store.results()] == ["successful"])
        eventually(lambda: not is_running(pid_in(left) or 0))
        eventually(lambda: "now killed job_class=jobs.LeaveNothing" in worker.stderr)


def test_a_mark_is_the_whole_of_a_word(eventually: Eventually) -> None:
    import subprocess

    with subprocess.Popen(["sleep", "600"], env={MARK: "abc.1", "OTHER": f"{MARK}=xyz"}) as process:
        try:
            eventually(lambda: has_mark(process.pid, "abc"))  # as soon as the program has begun
            assert has_mark(process.pid, "abc.1")
            assert list(marked("abc.1")) == [process.pid]
            for other in ("ab", "abc.12", "xyz", "c.1"):
                assert not has_mark(process.pid, other)
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process")
def test_a_stranger_whose_environment_cannot_be_read_holds_up_neither_a_death_nor_the_end_of_what_was_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a process that hangs in its memory: the kernel lets its reader wait."""
    read, let_go, deaths = processes.environment_of, threading.Event(), SimpleQueue[Death]()

    def hangs_for_init(pid: int) -> bytes:
        assert pid != 1 or let_go.wait(60)
        return read(pid)

    monkeypatch.setattr(processes, "environment_of", hangs_for_init)
    monkeypatch.setattr(processes, "TRY_SECONDS", 0.2)
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: "stuck.1"}, start_new_session=True)
    try:
        Process.start(["true"], pass_fds=(), environment={}, mark="stuck.1").watch(deaths.put)
        assert deaths.get(timeout=30).exit_code == 0
        assert left.wait(30) == -signal.SIGKILL
        assert 1 in processes.being_read, "it is not read by a second thread"
        started = threading.active_count()
        processes.end_marked("stuck.1")
        assert threading.active_count() <= started
    finally:
        let_go.set()
        left.kill()
