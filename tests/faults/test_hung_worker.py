"""What is outside of a worker and hangs: the reader of its log, the disk under it, its own main loop."""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

BEATS = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "2", "JOBQ_POLL_EVERY": "0.2"}
SPEAKS = {**BEATS, "JOBQ_LOG_LEVEL": "debug", "JOBQ_STATS_EVERY": "0.1"}

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

ALIVE = "SELECT FROM jobq.workers WHERE stopped_at IS NULL AND heartbeat_at > now() - interval '1 second'"


def add(store: "Store", job_class: str, arguments: dict[str, Any] | None = None, **fields: Any) -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments or {}, default=str), **fields)
    assert job_id is not None
    return job_id


def outcomes(store: "Store", job: int) -> list[tuple[str, bool]]:
    return [(result.outcome, result.retried) for result in store.results(job)]


@contextmanager
def running(application: "Application", stderr: int, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker with one child that writes its log there. At debug both log each attempt."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobq", "run", "-p", "1"],
        cwd=application.path,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full, and that nobody reads: its ends to read and to write."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"." * size)
    try:
        yield reading, writing
    finally:
        for fd in (reading, writing):
            os.close(fd)


def test_a_log_that_nobody_reads_holds_up_neither_jobs_nor_the_stop_and_comes_out_when_they_read_again(
    sample: "Application", store: "Store", full_pipe: tuple[int, int], eventually: Eventually
) -> None:
    reading, writing = full_pipe
    with running(sample, writing, **SPEAKS, JOBQ_LOG_FORMAT="json") as worker:
        died = add(store, "Die", {"how": "kill", "once": str(sample.path / "once")})
        eventually(lambda: outcomes(store, died) == [("lost", True), ("successful", False)])
        assert store.rows(ALIVE)
        os.set_blocking(reading, False)
        read = b""

        def heard() -> bytes:
            nonlocal read
            with suppress(BlockingIOError):
                read += os.read(reading, 1 << 16)
            return read

        eventually(lambda: b"application loaded" in heard())
        worker.send_signal(signal.SIGTERM)
        eventually(lambda: b'"message": "stopped"' in heard())
        assert worker.wait(30) == 0

    lines = read.lstrip(b".").decode().splitlines()
    assert any("SIGKILL" in line for line in lines)
    assert all(map(json.loads, lines))


@pytest.mark.parametrize("kind", ["full disk", "closed"])
def test_a_log_that_cannot_be_written_costs_no_job(
    sample: "Application", store: "Store", eventually: Eventually, kind: str
) -> None:
    if kind == "full disk":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, stderr = os.pipe()
        os.close(reading)
    try:
        with running(sample, stderr, **SPEAKS) as worker:
            done = add(store, "Echo")
            eventually(lambda: outcomes(store, done) == [("successful", False)])
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
    finally:
        os.close(stderr)


def test_a_job_that_prints_into_a_full_pipe_waits_for_its_timeout_and_its_worker_ends_though_nobody_reads_its_log(
    application: "Application", store: "Store", full_pipe: tuple[int, int], eventually: Eventually
) -> None:
    application.write(
        "jobs.py",
        """
        import os, sys
        from jobq import Job, register_job


        @register_job
        class Prints(Job):
            def run(self):
                print("x" * 10_000, file=sys.stderr)


        @register_job
        class Echo(Job):
            def run(self):
                return 1
        """,
    )
    job = add(store, "Prints", timeout=0.5)
    with running(application, full_pipe[1], **SPEAKS) as worker:
        eventually(lambda: outcomes(store, job) == [("errored", False)])
        after = add(store, "Echo")
        eventually(lambda: outcomes(store, after) == [("successful", False)])
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert store.results(job)[0].error_type == "TimedOut"
    assert [row.stop_reason for row in store.rows("SELECT stop_reason FROM jobq.workers")] == ["stopped"]


@contextmanager
def frozen_thread(thread: int) -> Iterator[None]:
    """Stops one thread, as a file system does that hangs; the other threads of its process go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) < 0:
        pytest.skip(f"this machine lets no process trace another: {os.strerror(ctypes.get_errno())}")
    libc.ptrace(PTRACE_INTERRUPT, thread, None, None)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are stopped by ptrace(2)")
def test_a_worker_whose_main_loop_hangs_is_declared_dead_and_begins_anew_when_it_turns_again(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    job = add(store, "Wait", {"started": started, "go": go})
    with sample.start("run", "-p", "1", environment=BEATS) as hung:
        first = eventually(lambda: started.exists() and started.read_text())
        with frozen_thread(hung.pid), sample.start("run", "-p", "1", environment=BEATS) as other:
            eventually(lambda: "the main loop hangs: no heartbeat until it turns again" in hung.stderr)
            eventually(lambda: started.read_text() not in ("", first))
            go.touch()
            eventually(lambda: outcomes(store, job) == [("lost", True), ("successful", False)])
            other.signal(signal.SIGTERM)
            assert other.wait() == 0
        eventually(lambda: "declared dead; starting anew" in hung.stderr)
        after = add(store, "Echo")
        eventually(lambda: outcomes(store, after) == [("successful", False)])
        hung.signal(signal.SIGTERM)
        assert hung.wait() == 0
    assert len(store.rows("SELECT FROM jobq.workers WHERE stop_reason = 'silent'")) == 1
