"""The worker beside a web application: it lives as long as the web process, and there is one of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

import jobq
from conftest import descendants_of
from jobq.errors import ConfigurationError
from tests.faults.servers import command_line, free_port

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
import os
from jobq import Job, register_job


@register_job
class Where(Job):
    def run(self):
        return os.environ.get("JOBQ_MAX_PROCESSES")
"""

ASGI = """
from contextlib import asynccontextmanager

from fastapi import FastAPI

import jobq

app = FastAPI(lifespan=jobq.lifespan)


@app.post("/work")
async def work():
    from jobs import Where

    return {"id": (await Where().run_in_worker_async()).id}
"""

WSGI = """
import jobq

jobq.worker(max_processes=1, shutdown_grace=5).start()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

PLAIN = """
import sys, time
import jobq

with jobq.worker(max_processes=1):
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def web(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    application.write("asgi.py", ASGI)
    application.write("wsgi.py", WSGI)
    application.write("plain.py", PLAIN)
    return application


@contextmanager
def serving(web: "Application", *command: str, url: str | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    with (web.path / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=web.path, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        for pid in [process.pid, *descendants_of(process.pid)]:
            with_kill(pid)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def with_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def supervisors(pid: int) -> list[int]:
    """The workers below a web process."""
    return [child for child in descendants_of(pid) if "jobq.cli.beside" in command_line(child)]


def is_alive(pid: int) -> bool:
    return "jobq.cli.beside" in command_line(pid)


def workers(store: "Store") -> list[Any]:
    return store.rows("SELECT id, stopped_at, stop_reason FROM jobq.workers ORDER BY id")


def enqueue(store: "Store") -> int:
    job_id = store.add(job_class="jobs.Where")
    assert job_id is not None
    return job_id


def done(store: "Store", job_id: int) -> list[Any]:
    return [result for result in store.results(job_id) if result.outcome == "successful"]


def test_an_application_under_uvicorn_works_its_own_jobs_and_takes_its_worker_along(
    web: "Application", store: "Store", eventually: Eventually
) -> None:
    port = free_port()
    with serving(web, "-m", "uvicorn", "asgi:app", "--port", str(port)) as server:
        job = eventually(lambda: posted(f"http://127.0.0.1:{port}/work"))["id"]
        eventually(lambda: done(store, job))
        (worker,) = supervisors(server.pid)
        server.terminate()
        assert server.wait(30) in (0, -signal.SIGTERM)
        assert not is_alive(worker)
    assert [row.stopped_at is not None for row in workers(store)] == [True]


def test_uvicorn_that_reloads_starts_the_worker_anew(
    web: "Application", store: "Store", eventually: Eventually
) -> None:
    with serving(web, "-m", "uvicorn", "asgi:app", "--port", str(free_port()), "--reload") as server:
        (before,) = eventually(lambda: supervisors(server.pid))
        eventually(lambda: len(workers(store)) == 1)  # long after the server began to watch
        web.write("asgi.py", ASGI + "\n")
        eventually(lambda: [pid for pid in supervisors(server.pid) if pid != before])
        assert not is_alive(before)


def posted(url: str) -> Any:
    try:
        with urlopen(url, data=b"", timeout=5) as answer:
            return json.load(answer)
    except OSError as error:
        raise AssertionError(str(error)) from None


def test_several_processes_of_gunicorn_have_one_worker_and_another_takes_it_over(
    web: "Application", store: "Store", eventually: Eventually
) -> None:
    port = free_port()
    with serving(web, "-m", "gunicorn", "wsgi:app", "-w", "3", "-b", f"127.0.0.1:{port}") as server:
        first = eventually(lambda: supervisors(server.pid))
        job = enqueue(store)
        (result,) = eventually(lambda: done(store, job))
        assert result.value == "1"
        assert supervisors(server.pid) == first
        (holder,) = [pid for pid in descendants_of(server.pid) if first[0] in descendants_of(pid)]
        os.kill(holder, signal.SIGKILL)
        eventually(lambda: not is_alive(first[0]))
        (second,) = eventually(lambda: supervisors(server.pid))
        job = enqueue(store)
        eventually(lambda: done(store, job))
        server.terminate()
        server.wait(40)
        eventually(lambda: not is_alive(second))


def test_a_worker_ends_with_its_web_process_also_where_that_is_killed(
    web: "Application", store: "Store", eventually: Eventually
) -> None:
    with serving(web, "plain.py") as server:
        (worker,) = eventually(lambda: supervisors(server.pid))
        eventually(lambda: len(workers(store)) == 1)
        server.kill()
        eventually(lambda: not is_alive(worker))
        eventually(lambda: workers(store)[0].stopped_at is not None)


def test_a_worker_that_is_killed_is_started_again_and_one_that_is_stopped_stays_so(
    web: "Application", store: "Store", eventually: Eventually
) -> None:
    with serving(web, "plain.py") as server:
        (killed,) = eventually(lambda: supervisors(server.pid))
        eventually(lambda: len(workers(store)) == 1)
        os.kill(killed, signal.SIGKILL)
        (again,) = eventually(lambda: [pid for pid in supervisors(server.pid) if pid != killed])
        eventually(lambda: len(workers(store)) == 2)
        os.kill(again, signal.SIGTERM)
        eventually(lambda: not is_alive(again))
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(30) == 0
    assert len(workers(store)) == 2


def test_a_web_process_starts_and_stops_while_the_database_is_away(web: "Application") -> None:
    web.write(
        "brief.py",
        """
        import time

        import jobq

        with jobq.worker() as worker:
            while worker.pid is None:
                time.sleep(0.01)
        print("out")
        """,
    )
    said = subprocess.run(
        [sys.executable, "brief.py"],
        cwd=web.path,
        env={**os.environ, "JOBQ_DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout == "out\n"


def test_what_cannot_be_is_refused_when_the_worker_is_called_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no setting 'processes'"):
        jobq.worker(processes=2)
    with pytest.raises(ConfigurationError, match="max_processes is 0"):
        jobq.worker(max_processes=0)
