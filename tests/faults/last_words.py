"""Kills jobs right after a line, has one print 1 GB, and looks whether the last lines are there and nobody suffered.

    python -m tests.faults.last_words [--kills 1000] [--gigabytes 1] [--database-url URL]

Each job that is killed logs its own number and then kills its process at once, with SIGKILL: the line must be in the
history. Then one job prints as much as was asked for beside a hundred others; what the worker holds of memory meanwhile
is measured from outside.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import psycopg

from jobq import embedded

SCHEMA = "jobq_last_words"
MAX_GROWTH_MEGABYTES = 64
"""What a worker may hold more than before, whatever a job prints."""

JOBS = """
    import logging
    import os
    import signal

    from jobq import Job, register_job

    log = logging.getLogger("last")

    @register_job
    class Killed(Job):
        def __init__(self, number: int):
            self.number = number

        def run(self):
            if self.number % 2:
                log.warning("the last line of %s", self.number)
            else:
                print("the last line of", self.number)
            os.kill(os.getpid(), signal.SIGKILL)

    @register_job
    class Prints(Job):
        def __init__(self, megabytes: int):
            self.megabytes = megabytes

        def run(self):
            piece = "x" * 1_000_000
            for number in range(self.megabytes):
                print(number, piece)
            raise ValueError("said enough")

    @register_job
    class Other(Job):
        def run(self):
            return 1
"""


class Scene:
    """An application, its database and its worker."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        (folder / "jobs.py").write_text(dedent(JOBS))
        (folder / "pyproject.toml").write_text(
            f"[tool.jobq]\ndatabase_url = {json.dumps(url)}\nschema = {json.dumps(SCHEMA)}\nmax_losses = 1\n"
        )
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self.jobq("migrate")

    def jobq(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "jobq", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def enqueue(self, text: str) -> None:
        program = f"import jobs; from jobq import enqueue_many; enqueue_many({text})"
        subprocess.run([sys.executable, "-c", program], cwd=self.folder, check=True)

    def worker(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with open(os.devnull, "wb") as nowhere:
            command = [sys.executable, "-m", "jobq", "run", *arguments]
            return subprocess.Popen(command, cwd=self.folder, stdout=nowhere, stderr=nowhere)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.connection.execute(query.replace("SCHEMA", SCHEMA).encode()).fetchall()

    def close(self) -> None:
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self.connection.close()


def lines_before_kills(scene: Scene, kills: int) -> list[str]:
    scene.enqueue(f"[jobs.Killed(number) for number in range({kills})]")
    scene.worker("--drain", "-p", "2").wait()
    found = scene.rows(
        "SELECT id, arguments ->> 'number', outcome, (SELECT string_agg(lines, '|') FROM SCHEMA.logs "
        "WHERE job_id = results.id AND logs.attempt = results.attempt) FROM SCHEMA.results WHERE NOT retried"
    )
    faults = [] if len(found) == kills else [f"{len(found)} of {kills} have ended"]
    for job_id, number, outcome, lines in found:
        if outcome != "lost" or f'"the last line of {number}"' not in str(lines):
            faults.append(f"job {job_id} ({number}) ended as {outcome} with the lines {lines}")
    return faults


def memory_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise OSError(f"{pid} has ended")


def prints_a_lot(scene: Scene, megabytes: int) -> list[str]:
    scene.enqueue("[jobs.Other()]")
    worker = scene.worker("-p", "2")
    while not scene.rows("SELECT FROM SCHEMA.results WHERE job_class = 'jobs.Other'"):
        time.sleep(0.1)
    before = most = memory_megabytes(worker.pid)
    scene.enqueue(f"[jobs.Prints({megabytes}), *[jobs.Other() for _ in range(100)]]")
    while not scene.rows("SELECT FROM SCHEMA.results WHERE job_class = 'jobs.Prints'"):
        most = max(most, memory_megabytes(worker.pid))
        time.sleep(0.1)
    worker.terminate()
    worker.wait()
    ((kept, size),) = scene.rows(
        "SELECT max(said), sum(octet_length(lines)) FROM SCHEMA.logs WHERE job_class = 'jobs.Prints'"
    )
    ((others,),) = scene.rows("SELECT count(*) FROM SCHEMA.results WHERE job_class = 'jobs.Other'")
    print(
        f"{megabytes} MB printed: {kept} lines said, {size} bytes kept; worker {before:.0f} MB, at most {most:.0f} MB"
    )
    faults = []
    if most - before > MAX_GROWTH_MEGABYTES:
        faults.append(f"the worker has grown from {before:.0f} to {most:.0f} MB")
    if not size or int(str(size)) > 1_100_000:
        faults.append(f"{size} bytes of lines are kept")
    if others != 101:
        faults.append(f"{others} of 101 other jobs have ended")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--database-url", help="default: an embedded server of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = options.database_url
        if url is None:
            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        scene = Scene(folder, url)
        stack.callback(scene.close)
        faults = lines_before_kills(scene, options.kills)
        print(f"{options.kills} jobs were killed right after a line: {len(faults)} without it")
        faults += prints_a_lot(scene, round(options.gigabytes * 1000))
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
