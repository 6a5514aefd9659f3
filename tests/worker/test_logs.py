"""What a worker's log has, with real processes: failures, and every line of an application with its job."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ \S")

JOBS = r"""
import asyncio, logging, os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from jobq import Cancel, Job, register_job

log = logging.getLogger("shop.orders")
pool = ThreadPoolExecutor(1)
FORGED = "2026-11-30T20:00:00.000Z ERROR job errored job=1"

@register_job
class Ship(Job):
    def __init__(self, mark):
        self.mark = mark
        log.info("loading %s", mark)

    def run(self):
        log.info("packing %s", self.mark, extra={"mark": self.mark})
        log.warning("no stamps\n%s \x1b[31m", FORGED)
        print(f"printed\n{FORGED}")
        print("error output", file=sys.stderr)
        sys.stdout.buffer.write(b"bytes \xff\n")
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()
        pool.submit(log.info, "from a pool").result()
        try:
            raise KeyError(f"\n{FORGED}")
        except KeyError:
            log.exception("caught")
        sys.stdout.write("no end")
        raise ValueError(f"no such order\n{FORGED}")

@register_job
class Coroutine(Job):
    async def run(self):
        async def task():
            log.info("in a task")

        await asyncio.create_task(task())
        await asyncio.to_thread(print, "in a thread of a coroutine")

@register_job
class Killed(Job):
    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)

@register_job
class Slow(Job):
    def run(self):
        time.sleep(60)

@register_job
class CallsItselfOff(Job):
    def run(self):
        raise Cancel("nothing to do")

@register_job
class Fine(Job):
    def run(self):
        pass
"""


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def lines_of(app: "Application", *arguments: str, **environment: str) -> list[str]:
    """What a worker and its jobs wrote on stdout and stderr, line by line."""
    environment = {"JOBQ_MAX_LOSSES": "1", **environment}
    finished = app.jobq("run", "--drain", "-p", "1", *arguments, environment=environment)
    assert finished.returncode in (0, 1), finished.stderr  # 1: a job has failed
    return (finished.stdout + finished.stderr).splitlines()


def without_time(lines: list[str]) -> list[str]:
    return [line.partition(" ")[2] for line in lines]


def test_each_line_is_a_record_and_names_its_job(app: "Application", store: "Store") -> None:
    first, second = store.add_many(
        {"job_class": "jobs.Ship", "arguments": '{"mark": "a"}'},
        {"job_class": "jobs.Ship", "arguments": '{"mark": "b"}'},
    )
    coroutine = store.add(job_class="jobs.Coroutine")
    lines = lines_of(app)
    assert all(RECORD.match(line) for line in lines), lines
    assert not any("\x1b" in line for line in lines)
    for job, mark in ((first, "a"), (second, "b")):
        named = [line for line in without_time(lines) if f"job={job} class=jobs.Ship |" in line]
        logged = f"shop.orders job={job} class=jobs.Ship |"
        printed = f"INFO stdout job={job} class=jobs.Ship |"
        for expected in (
            f"INFO {logged} loading {mark}",
            f"INFO {logged} packing {mark}",
            f"WARNING {logged} no stamps⏎2026-11-30T20:00:00.000Z ERROR job errored job=1 ␛[31m",
            f"{printed} printed",
            f"{printed} 2026-11-30T20:00:00.000Z ERROR job errored job=1",
            f"WARNING stderr job={job} class=jobs.Ship | error output",
            f"{printed} bytes \\xff",
            f"{printed} from a thread",
            f"INFO {logged} from a pool",
            f"ERROR {logged} caught",
            f"ERROR {logged} Traceback (most recent call last):",
            f"{printed} no end",
        ):
            assert named.count(expected) == 1, (expected, named)
    assert f"INFO shop.orders job={coroutine} class=jobs.Coroutine | in a task" in without_time(lines)
    assert f"INFO stdout job={coroutine} class=jobs.Coroutine | in a thread of a coroutine" in without_time(lines)
    told = [line for line in without_time(lines) if line.startswith("ERROR job errored")]
    assert [re.sub(r"ran=\S+", "ran=…", line) for line in told] == [
        f"ERROR job errored job={job} class=jobs.Ship queue=default attempt=1/1 "
        'error="ValueError: no such order⏎2026-11-30T20:00:00.000Z ERROR job errored job=1" ran=…'
        for job in (first, second)
    ]


def test_as_json_each_line_has_the_same_as_keys(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Ship", arguments='{"mark": "a"}', queue="mail\n2026 forged", retries=1)
    coroutine = store.add(job_class="jobs.Coroutine")
    records = [json.loads(line) for line in lines_of(app, "--log-format", "json", "--concurrency", "2")]
    own: dict[str, Any] = {"job": job, "class": "jobs.Ship", "queue": "mail\n2026 forged", "attempt": 1}
    messages = {record["message"]: record for record in records if record.items() >= own.items()}
    assert messages["packing a"]["mark"] == "a"
    assert (messages["printed"]["output"], messages["error output"]["output"]) == ("stdout", "stderr")
    assert messages["caught"]["traceback"].startswith("Traceback (most recent call last):\n")
    told = messages["job errored"]
    assert (told["level"], told["logger"], told["max_attempts"]) == ("warning", "jobq.job", 2)
    assert told["error"].startswith("ValueError: no such order\n2026-11-30")
    assert told["retry_in"] == 0
    assert {"from a thread", "from a pool", "no end"} <= set(messages)
    assert {record["message"] for record in records if record.get("job") == coroutine} >= {
        "in a task",
        "in a thread of a coroutine",
    }


def test_each_way_of_not_succeeding_is_one_line_with_its_evidence(
    app: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    gone = store.add(job_class="jobs.Fine")
    dead = store.worker(pid=77)
    store.claim(dead, classes=["jobs.Fine"])
    store.declare_dead(dead)
    killed = store.add(job_class="jobs.Killed")
    slow = store.add(job_class="jobs.Slow", timeout=0.2)
    called_off = store.add(job_class="jobs.CallsItselfOff")
    with app.start("run", "-p", "1", environment={"JOBQ_MAX_LOSSES": "1"}) as worker:
        eventually(lambda: len(store.results()) >= 5 and not store.unfinished())
        worker.signal(15)
        worker.wait()
        lines = without_time(worker.stderr.splitlines())
    told = {int(found[1]): line for line in lines if (found := re.search(r" job \w+ job=(\d+)", line))}
    assert set(told) == {gone, killed, slow, called_off}, "and a success is no line"
    assert re.match(r"WARNING job lost job=\d+ class=jobs.Fine .* error=\"WorkerLost: worker here/77 ", told[gone or 0])
    assert re.match(
        r"ERROR job lost .* error=\"ProcessDied: child process \d+ was killed by SIGKILL", told[killed or 0]
    )
    assert 'error="TimedOut: ran for longer than its timeout of 0.2 s"' in told[slow or 0]
    assert told[called_off or 0].startswith("INFO job cancelled")


def test_at_debug_starts_and_successes_are_told(app: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Fine")
    lines = without_time(lines_of(app, "--log-level", "debug"))
    assert f"DEBUG job started job={job} class=jobs.Fine queue=default attempt=1/1" in lines
    assert sum(line.startswith(f"DEBUG job successful job={job} class=jobs.Fine ") for line in lines) == 1
    store.add(job_class="jobs.Fine")
    assert not any("jobs.Fine" in line for line in lines_of(app))
