"""Another login floods the channels of a real worker: what that costs the worker, and how long a lone job waits.

    python -m tests.faults.flood [--seconds 12]

It floods with 60,000 notifications in one transaction, and then with as many as it can send, on each channel. It fails
where the supervisor used more than a quarter of a core, by the kernel's account, or where a lone job waited three
seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from jobq import embedded
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database
from jobq.store.statements import channel, control_channel

APPLICATION = """
from jobq import Job, register_job

@register_job
class Nothing(Job):
    def run(self):
        return None
"""

MAX_CORE = 0.25
MAX_WAIT_MS = 3000.0  # the machine may be busy, and the server orders all commits that notify


@contextmanager
def a_worker(folder: Path, address: str) -> Iterator[int]:
    """The process id of its supervisor."""
    (folder / "pyproject.toml").write_text("[tool.jobq]\n")
    (folder / "jobs.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "jobq", "run", "--max-processes", "1", "--stats-every", "0"]
    environment = {**os.environ, "JOBQ_DATABASE_URL": address}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as worker:
        try:
            yield worker.pid
        finally:
            worker.terminate()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_of_a_lone_job(connection: psycopg.Connection[tuple[object, ...]]) -> float:
    """Milliseconds from the enqueue to the claim, by the server's clock."""
    (added,) = connection.execute("SELECT jobq.enqueue('jobs.Nothing')").fetchone() or (None,)
    ended = "SELECT extract(epoch FROM started_at - enqueued_at)::float8 * 1000 FROM jobq.results WHERE id = %s"
    while (row := connection.execute(ended, [added]).fetchone()) is None:
        time.sleep(0.01)
    return float(str(row[0]))


def floods(stranger: str, name: str) -> dict[str, Callable[[threading.Event], int]]:
    """By their names: each floods until it is told to stop, and returns how many notifications it sent."""

    def at_once(_stop: threading.Event) -> int:
        with psycopg.connect(stranger, autocommit=True) as connection:
            connection.execute("SELECT pg_notify(%s, n::text) FROM generate_series(1, 60000) AS n", [name])
        return 60_000

    def without_end(stop: threading.Event) -> int:
        sent = 0
        with psycopg.connect(stranger, autocommit=True) as connection:
            while not stop.is_set():
                with connection.pipeline():
                    for number in range(500):
                        connection.execute("SELECT pg_notify(%s, %s)", [name, str(number)])
                sent += 500
        return sent

    return {"60,000 at once": at_once, "without end": without_end}


def measure(title: str, flood: Callable[[threading.Event], int], pid: int, address: str, seconds: float) -> bool:
    """Prints what the flood cost; False where that is too much."""
    stop, sent = threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: sent.append(flood(stop)))
    began, before = time.monotonic(), cpu_seconds(pid)
    thread.start()
    with psycopg.connect(address, autocommit=True) as connection:
        waits = []
        while time.monotonic() - began < seconds:
            waits.append(wait_of_a_lone_job(connection))
            time.sleep(0.1)
    stop.set()
    thread.join()
    elapsed, used = time.monotonic() - began, cpu_seconds(pid) - before
    print(
        f"{title}: {sent[0]:,} notifications in {elapsed:.1f} s; supervisor {used:.2f} s of CPU; "
        f"{len(waits)} lone jobs, the slowest waited {max(waits):.0f} ms"
    )
    return used < MAX_CORE * elapsed and max(waits) < MAX_WAIT_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each flood")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="jobq-flood-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = embedded.attach(folder / "server", linger=0)
        try:
            migrations.migrate(Database(Settings(database_url=server.url)))
            with psycopg.connect(server.url, autocommit=True) as connection, a_worker(folder, server.url) as pid:
                connection.execute("CREATE ROLE stranger LOGIN")
                stranger = psycopg.conninfo.make_conninfo(server.url, user="stranger")
                wait_of_a_lone_job(connection)
                results = [
                    measure(f"{kind}, channel {name}", flood, pid, server.url, seconds)
                    for name in (channel("jobq"), control_channel("jobq"))
                    for kind, flood in floods(stranger, name).items()
                ]
        finally:
            server.close()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
