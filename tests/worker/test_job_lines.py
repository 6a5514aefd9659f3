"""What jobs log and print is kept where their attempt failed, and nowhere else; with real processes."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = r"""
import asyncio, logging, os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from jobq import Job, Secret, register_job

log = logging.getLogger("shop.orders")
pool = ThreadPoolExecutor(1)


@register_job
class Ship(Job):
    def __init__(self, how="raise"):
        self.how = how

    def run(self):
        log.debug("unseen")
        log.info("packing %s", "a\nb")
        print("printed")
        print("error output", file=sys.stderr)
        sys.stdout.buffer.write(b"bytes \xff\0\n")
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()
        pool.submit(log.warning, "from a pool").result()
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("caught")
        sys.stdout.write("no end")
        if self.how == "raise":
            raise ValueError("no stamps")
        sys.stdout.write("\n")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "segfault":
            import ctypes
            ctypes.string_at(0)


@register_job
class Everything(Job):
    logs = "all"

    def run(self):
        print("kept")


@register_job
class Nothing(Job):
    logs = "none"

    def run(self):
        print("not kept")
        raise ValueError


@register_job
class Replaces(Job):
    def run(self):
        logging.basicConfig(force=True, handlers=[logging.NullHandler()], level="INFO")
        quiet = logging.getLogger("quiet")
        quiet.propagate = False
        log.info("after the handlers")
        quiet.warning("without parents")
        handler = logging.StreamHandler(sys.stdout)
        logging.getLogger().addHandler(handler)
        log.info("once")
        logging.getLogger().removeHandler(handler)
        raise ValueError


@register_job
class Forks(Job):
    def run(self):
        print("before")
        if (pid := os.fork()) == 0:
            print("in the fork")
            log.info("in the fork")
            os._exit(0)
        os.waitpid(pid, 0)
        print("after")
        raise ValueError


@register_job
class Closes(Job):
    def run(self):
        print("open")
        os.closerange(0, 256)
        print("closed")
        os.kill(os.getpid(), signal.SIGKILL)


@register_job
class Keeps(Job):
    def __init__(self, key):
        self.key = key

    def run(self):
        print("the key is", self.key.reveal())
        log.info("%r", self.key.reveal())
        raise ValueError


@register_job
class Chatty(Job):
    def __init__(self, lines, length=20):
        self.lines, self.length = lines, length

    def run(self):
        for number in range(self.lines):
            print(f"{number} {'x' * self.length}")
        raise ValueError


@register_job
class Coroutine(Job):
    def __init__(self, name):
        self.name = name

    async def run(self):
        for step in range(3):
            log.info("%s %s", self.name, step)
            await asyncio.to_thread(print, self.name, "in a thread")
            await asyncio.sleep(0.01)
        raise ValueError


@register_job
class Endless(Job):
    def run(self):
        sys.stdout.write("x" * 10_000_001)
        print("\nend")
        raise ValueError


@register_job
class Times(Job):
    def run(self):
        print("before the timeout")
        while True:
            try:
                time.sleep(60)
            except BaseException:
                print("still here")


@register_job
class Runs(Job):
    def __init__(self, seconds=60.0):
        self.seconds = seconds

    def run(self):
        print("begun")
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            print("tick")
        print("ended")
"""


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def drain(app: "Application", **environment: str) -> None:
    finished = app.jobq("run", "--drain", "-p", "1", environment={"JOBQ_MAX_LOSSES": "1", **environment})
    assert finished.returncode in (0, 1), finished.stderr  # 1: a job has failed


def lines_of(store: "Store", job_id: int | None) -> list[Any]:
    """The lines that are kept of a job, in their order: number, milliseconds, level, source, message."""
    parts = store.rows("SELECT lines FROM jobq.logs WHERE job_id = %s ORDER BY at, said", job_id)
    return [json.loads(line) for (lines,) in parts for line in lines.split("\n") if line]


def messages_of(store: "Store", job_id: int | None) -> list[str]:
    return [line[4] for line in lines_of(store, job_id)]


SAID = [
    (20, "shop.orders", "packing a\nb"),
    (20, "stdout", "printed"),
    (30, "stderr", "error output"),
    (20, "stdout", "bytes \\xff\0"),
    (20, "stdout", "from a thread"),
    (30, "shop.orders", "from a pool"),
]


def test_the_lines_of_a_failed_attempt_are_kept(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Ship")
    drain(app)
    lines = lines_of(store, job)
    assert [tuple(line[2:]) for line in lines[:6]] == SAID
    assert lines[6][2:4] == [40, "shop.orders"]
    assert lines[6][4].startswith("caught\nTraceback (most recent call last):\n")
    assert lines[6][4].endswith("ZeroDivisionError: division by zero")
    assert lines[7][2:] == [20, "stdout", "no end"]
    assert [line[0] for line in lines] == list(range(8))
    ((said, level, job_class, queue, worker),) = store.rows(
        "SELECT said, level, job_class, queue, worker_id IN (SELECT id FROM jobq.workers) FROM jobq.logs"
    )
    assert (said, level, job_class, queue, worker) == (8, 40, "jobs.Ship", "default", True)


@pytest.mark.parametrize("how", ["kill", "segfault"])
def test_the_last_lines_before_a_death_are_kept(app: "Application", store: "Store", how: str) -> None:
    job = store.add(job_class="jobs.Ship", arguments=json.dumps({"how": how}))
    drain(app)
    assert [tuple(line[2:]) for line in lines_of(store, job)[:6]] == SAID
    assert messages_of(store, job)[-1] == "no end"
    (result,) = store.results(job)
    assert (result.outcome, result.error_type) == ("lost", "ProcessDied")


def test_a_success_keeps_no_lines_unless_its_class_wants_them(app: "Application", store: "Store") -> None:
    fine = store.add(job_class="jobs.Ship", arguments='{"how": "fine"}')
    everything = store.add(job_class="jobs.Everything")
    nothing = store.add(job_class="jobs.Nothing")
    drain(app)
    assert lines_of(store, fine) == lines_of(store, nothing) == []
    assert messages_of(store, everything) == ["kept"]


def test_the_settings_say_what_is_kept(app: "Application", store: "Store") -> None:
    fine = store.add(job_class="jobs.Ship", arguments='{"how": "fine"}')
    drain(app, JOBQ_JOB_LOGS="all", JOBQ_JOB_LOG_LEVEL="warning")
    assert {line[2] for line in lines_of(store, fine)} == {30, 40}
    failed = store.add(job_class="jobs.Ship")
    drain(app, JOBQ_JOB_LOGS="none")
    assert lines_of(store, failed) == []
    debug = store.add(job_class="jobs.Ship")
    drain(app, JOBQ_JOB_LOG_LEVEL="debug")
    assert messages_of(store, debug)[0] == "unseen"


def test_a_job_that_misbehaves_keeps_its_lines(app: "Application", store: "Store") -> None:
    replaces = store.add(job_class="jobs.Replaces")
    forks = store.add(job_class="jobs.Forks")
    after = store.add(job_class="jobs.Ship")
    drain(app)
    assert messages_of(store, replaces) == ["after the handlers", "without parents", "once"]
    assert messages_of(store, forks) == ["before", "after"]
    assert messages_of(store, after)[0] == "packing a\nb"


def test_a_job_that_closes_all_descriptors_keeps_its_lines(app: "Application", store: "Store") -> None:
    closes = store.add(job_class="jobs.Closes")
    drain(app)
    assert messages_of(store, closes) == ["open", "closed"]


def test_secrets_are_masked(app: "Application", store: "Store") -> None:
    arguments = {"key": {"$": "secret", "v": "sesame-opens"}}
    job = store.add(job_class="jobs.Keeps", arguments=json.dumps(arguments))
    drain(app)
    assert messages_of(store, job) == ["the key is •••", "'•••'"]


def test_of_many_lines_the_first_and_the_last_are_kept(app: "Application", store: "Store") -> None:
    many = store.add(job_class="jobs.Chatty", arguments='{"lines": 10000}')
    large = store.add(job_class="jobs.Chatty", arguments='{"lines": 1000, "length": 5000}')
    drain(app)
    assert [line[0] for line in lines_of(store, many)] == [*range(200), *range(9700, 10_000)]
    assert {said for (said,) in store.rows("SELECT said FROM jobq.logs WHERE job_id = %s", many)} == {10_000}
    kept = lines_of(store, large)
    assert (kept[0][0], kept[-1][0]) == (0, 999)
    ((size,),) = store.rows("SELECT sum(octet_length(lines)) FROM jobq.logs WHERE job_id = %s", large)
    assert 200_000 < size <= 256 * 1024


def test_a_line_without_end_is_kept_in_pieces(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Endless")
    drain(app)
    assert messages_of(store, job)[-1] == "end"
    assert [len(message) for message in messages_of(store, job)[-3:]] == [8000, 1, 3]


def test_coroutines_side_by_side_keep_their_own_lines(app: "Application", store: "Store") -> None:
    names = ["a", "b", "c"]
    jobs = [store.add(job_class="jobs.Coroutine", arguments=json.dumps({"name": name})) for name in names]
    drain(app, JOBQ_CONCURRENCY="3")
    for job, name in zip(jobs, names, strict=True):
        expected = [said for step in range(3) for said in (f"{name} {step}", f"{name} in a thread")]
        assert messages_of(store, job) == expected


def test_a_job_that_had_to_be_killed_keeps_its_lines(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Times", timeout=0.2)
    drain(app, JOBQ_CANCEL_GRACE="0.3")
    assert messages_of(store, job) == ["before the timeout", "still here"]
    (result,) = store.results(job)
    assert result.error_type == "TimedOut"


def test_the_lines_of_a_long_job_are_sent_while_it_runs_and_dropped_after_a_success(
    app: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    job = store.add(job_class="jobs.Runs", arguments='{"seconds": 7}')
    with app.start("run", "-p", "1"):
        eventually(lambda: "begun" in messages_of(store, job), timeout=15)
        numbers = [line[0] for line in lines_of(store, job)]
        assert numbers == list(range(len(numbers)))
        eventually(lambda: store.results(job), timeout=15)
        eventually(lambda: not lines_of(store, job))
