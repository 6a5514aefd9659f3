"""What a real worker tells the platform that it runs on: by HTTP, to systemd, by `jobq health`."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probes import get, sample_of
from tests.chaos.proxy import Proxy, through, upstream_of

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]


class Heard:
    """A service manager's socket, and what came in there."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.messages: list[str] = []

    def __call__(self) -> list[str]:
        try:
            while True:
                self.messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return self.messages

    def close(self) -> None:
        self._socket.close()


def unready(said: Any) -> Any:
    """What `jobq health` said, once it says no: the worker tells it twice a second."""
    assert said.returncode in (0, 1)
    return said if said.returncode else None


def test_a_worker_tells_its_health_in_every_way_from_its_start_to_its_end(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually
) -> None:
    address, heard = tmp_path / "health", Heard(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    arguments = ("run", "-p", "1", "--health", str(address), "-q", "mail*, -mail-slow,malis")
    with sample.start(*arguments, environment=environment) as worker:
        eventually(lambda: get(address, "/readyz") == (200, "ready\n"))
        assert get(address, "/livez") == (200, "alive\n")
        eventually(lambda: "READY=1" in heard())
        eventually(lambda: heard().count("WATCHDOG=1") > 3)
        eventually(lambda: "1 of 1 processes ready" in "".join(heard()))
        refused = sample.jobq(*arguments)
        assert (refused.returncode, "Address already in use" in refused.stderr) == (2, True), refused.stderr

        # A queue that comes into being later matches the pattern; one that is left out never does.
        for queue in ("mail-slow", "other", "mail-of-today"):
            store.add(job_class="jobs.Echo", arguments='{"value": 1}', queue=queue)
        store.add(job_class="jobs.Fail", queue="mail", retries=0)
        eventually(lambda: len(store.results()) == 2)
        assert sorted(job.queue for job in store.unfinished()) == ["mail-slow", "other"]
        assert "no job was ever in queue malis" in worker.stderr

        text = eventually(lambda: fresh(address, "mail-of-today"))
        labels = {"queue": "mail-of-today", "job_class": "jobs.Echo"}
        assert sample_of(text, "jobq_attempts_total", outcome="successful", retried="false", **labels) == 1
        assert sample_of(text, "jobq_attempts_total", outcome="errored", retried="false", queue="mail") == 1
        assert sample_of(text, "jobq_attempt_duration_seconds_count", **labels) == 1
        assert sample_of(text, "jobq_attempt_wait_seconds_bucket", le="+Inf", **labels) == 1
        assert sample_of(text, "jobq_worker_ready") == 1
        assert sample_of(text, "jobq_queue_depth", scope="database", queue="other") == 1
        assert sample_of(text, "jobq_workers", scope="database", state="alive") == 1

        said = sample.jobq("health", "--ready", "--json", str(worker.pid))
        assert (said.returncode, json.loads(said.stdout)[0]["healthy"]) == (0, True)

        store.add(job_class="jobs.Process", arguments='{"seconds": 60}', queue="mail")
        eventually(lambda: any(job.state == "running" for job in store.unfinished()))
        worker.signal(signal.SIGTERM)
        eventually(lambda: get(address, "/readyz") == (503, "it is stopping\n"))
        assert get(address, "/livez") == (200, "alive\n")
        said = eventually(lambda: unready(sample.jobq("health", "--ready", str(worker.pid))))
        assert "not ready: it is stopping" in said.stdout
        assert sample.jobq("health", str(worker.pid)).returncode == 0
        eventually(lambda: "STOPPING=1" in heard())
        worker.signal(signal.SIGTERM)
        worker.wait()
    gone = sample.jobq("health", str(worker.pid))
    assert (gone.returncode, f"no worker {worker.pid} of user" in gone.stderr) == (1, True)
    heard.close()


def fresh(address: Path, queue: str) -> str | None:
    """The metrics, once they tell of an attempt of this queue."""
    status, text = get(address, "/metrics")
    assert status == 200, text
    told = [sample_of(text, "jobq_attempts_total", queue=name) for name in (queue, "mail")]
    return text if all(told) and sample_of(text, "jobq_queue_depth", queue="other") == 1 else None


QUICK = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_POLL_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "60"}


def test_while_the_database_is_away_a_worker_is_alive_and_not_ready(
    sample: "Application", database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    proxy = Proxy(upstream_of(database_url))
    url = through(proxy, database_url)
    address = tmp_path / "health"
    environment = {**QUICK, "JOBQ_DATABASE_URL": url, "JOBQ_HEALTH": str(address)}
    with sample.start("run", "-p", "1", environment=environment):
        eventually(lambda: get(address, "/readyz")[0] == 200)
        eventually(lambda: sample_of(get(address, "/metrics")[1], "jobq_database_up") == 1)
        proxy.cut()
        eventually(lambda: get(address, "/readyz") == (503, "the database is out of reach\n"))
        assert get(address, "/livez") == (200, "alive\n")
        # What it knows it still tells.
        eventually(lambda: sample_of(get(address, "/metrics")[1], "jobq_worker_ready") == 0)
        proxy.heal()
        eventually(lambda: get(address, "/readyz")[0] == 200)
    proxy.close()


def test_without_prometheus_client_the_probes_answer_and_metrics_say_what_to_install(
    sample: "Application", eventually: Eventually, tmp_path: Path
) -> None:
    sample.write("prometheus_client.py", "raise ImportError('not here')")
    address = tmp_path / "health"
    environment = {"PYTHONPATH": str(sample.path)}
    with sample.start("run", "-p", "1", "--health", str(address), environment=environment):
        eventually(lambda: get(address, "/readyz") == (200, "ready\n"))
        status, text = get(address, "/metrics")
        assert (status, "pip install 'jobq[prometheus]'" in text) == (501, True)


@pytest.mark.parametrize(("job", "code"), [("Echo", 0), ("Fail", 1), ("Die", 1)])
def test_a_drain_ends_with_1_where_a_job_failed(sample: "Application", store: "Store", job: str, code: int) -> None:
    store.add(job_class=f"jobs.{job}", retries=0)
    drained = sample.jobq("run", "-p", "1", "--drain", environment={"JOBQ_MAX_LOSSES": "1"})
    assert drained.returncode == code, drained.stderr
    assert len(store.results()) == 1
    assert sample.jobq("run", "-p", "1", "--drain").returncode == 0  # that was before
