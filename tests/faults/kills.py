"""Kills workers and children at random while jobs are enqueued and run, then holds three accounts against each other.

    python -m tests.faults.kills [--jobs 20000] [--workers 2] [--enqueuers 4] [--seed 1] [--database-url URL]

The jobs analyse source files of the standard library, and write each run into a ledger that jobq does not know. At the
end the checker (`tests.faults.ledger`) has the word. It is a part of what `tests.chaos` does, with real work.
"""

import argparse
import ast
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from tests.faults import ledger
from tests.faults.ledger import Fault
from tests.faults.servers import children_of, kill

SCHEMA = "jobq_kills"
HEARTBEAT_TIMEOUT = 3.0
MAX_LOSSES = 50

JOBS = '''
    import ast
    import hashlib
    from pathlib import Path

    from jobq import Job, register_job
    from ledger_file import began, ended

    @register_job
    class Analyse(Job):
        """Parses one file."""

        def __init__(self, path: str, token: str):
            self.path, self.token = path, token

        def run(self):
            began(self, self.token)
            source = Path(self.path).read_bytes()
            tree = ast.parse(source)
            functions = sum(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))
            ended(self, self.token)
            return {"functions": functions, "sha256": hashlib.sha256(source).hexdigest()}

        def get_queue(self):
            return f"files-{len(self.path) % 3}"

        def get_priority(self):
            return len(self.path) % 5
'''

ENQUEUER = """
    import sys
    from jobq import enqueue_many
    from jobs import Analyse
    from ledger_file import note

    number, count, *paths = sys.argv[1:]
    done = 0
    while done < int(count):
        tokens = [f"{number}-{i}" for i in range(done, min(done + 100, int(count)))]
        batch = [Analyse(paths[int(token.split("-")[1]) % len(paths)], token) for token in tokens]
        for token in tokens:
            note("asked", token, "kills")
        # One in ten batches goes one by one, as a web application would.
        records = [job.run_in_worker() for job in batch] if done % 1000 == 0 else enqueue_many(batch)
        for token, record in zip(tokens, records):
            note("acknowledged", token, record.id)
        done += len(batch)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--enqueuers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", help="default: an embedded server of its own")
    parser.add_argument("--most-seconds", type=float, default=600.0)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-kills-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        return Storm(folder, url, chosen, stack).run()


class Storm:
    """One run: the processes, the kills, and the accounts at the end."""

    def __init__(self, folder: Path, url: str, chosen: argparse.Namespace, stack: ExitStack) -> None:
        self.folder, self.url, self.chosen, self.stack = folder, url, chosen, stack
        self.random = random.Random(chosen.seed)
        self.ledger = folder / "ledger"
        self.log = folder / "workers.log"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.kills: list[Fault] = []
        self.environment = {
            **os.environ,
            "LEDGER": str(self.ledger),
            "JOBQ_DATABASE_URL": url,
            "JOBQ_SCHEMA": SCHEMA,
            "JOBQ_HEARTBEAT_EVERY": "0.5",
            "JOBQ_HEARTBEAT_TIMEOUT": f"{HEARTBEAT_TIMEOUT:g}",
            "JOBQ_MAX_LOSSES": str(MAX_LOSSES),
            "JOBQ_STATS_EVERY": "0",
        }

    def run(self) -> int:
        self.prepare()
        began = time.monotonic()
        enqueuers = self.start_enqueuers()
        self.workers = [self.start_worker() for _ in range(self.chosen.workers)]
        self.kill_until_done(enqueuers, began)
        took = time.monotonic() - began
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
        return self.report(took)

    def prepare(self) -> None:
        (self.folder / "jobs.py").write_text(dedent(JOBS))
        (self.folder / "enqueuer.py").write_text(dedent(ENQUEUER))
        (self.folder / "ledger_file.py").write_text(ledger.MODULE)
        (self.folder / "pyproject.toml").write_text("")
        self.ledger.touch()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS jobq_kills CASCADE")
        self.jobq("migrate").wait()
        self.stack.callback(self.end)

    def start_enqueuers(self) -> list[subprocess.Popen[bytes]]:
        paths = source_files(400)
        share = self.chosen.jobs // self.chosen.enqueuers
        return [
            subprocess.Popen(
                [sys.executable, "enqueuer.py", str(number), str(share), *paths],
                cwd=self.folder,
                env=self.environment,
            )
            for number in range(self.chosen.enqueuers)
        ]

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.jobq("run", "--max-processes", "2")

    def jobq(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "jobq", *arguments], cwd=self.folder, env=self.environment, stderr=log
            )

    def kill_until_done(self, enqueuers: list[subprocess.Popen[bytes]], began: float) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while any(enqueuer.poll() is None for enqueuer in enqueuers) or unfinished(connection):
                if time.monotonic() - began > self.chosen.most_seconds:
                    raise SystemExit(
                        f"not done after {self.chosen.most_seconds:g} s; see {self.log.read_text()[-5000:]}"
                    )
                # This is the storm's own rhythm; nothing waits for it.
                time.sleep(self.random.uniform(0.5, 1.5))
                self.kill_one()
        assert all(enqueuer.returncode == 0 for enqueuer in enqueuers), "an enqueuer failed"

    def kill_one(self) -> None:
        number = self.random.randrange(len(self.workers))
        worker = self.workers[number]
        children = children_of(worker.pid)
        if children and self.random.random() < 0.6:
            chosen = children if self.random.random() < 0.2 else [self.random.choice(children)]
            kind = "children killed at once" if len(chosen) > 1 else "child killed"
            self.kills.append(Fault(kind, time.monotonic(), frozenset(chosen), time.monotonic()))
            for pid in chosen:
                kill(pid)
            return
        self.kills.append(Fault("supervisor killed", time.monotonic(), frozenset({worker.pid}), time.monotonic()))
        worker.kill()
        worker.wait()
        self.workers[number] = self.start_worker()

    def report(self, took: float) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            evidence = ledger.collect(
                connection,
                SCHEMA,
                self.ledger,
                faults=self.kills,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                max_losses=MAX_LOSSES,
            )
        kills = dict(Counter(fault.kind for fault in self.kills))
        figures = {"seed": self.chosen.seed, "seconds": round(took, 1), **kills, **ledger.figures(evidence)}
        print("\n".join(f"{name}: {figure}" for name, figure in figures.items()))
        print("\n".join(ledger.report(evidence)))
        return 1 if ledger.check(evidence) else 0

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def unfinished(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM jobq_kills.jobs").fetchone()
    assert row is not None
    return int(row[0])


def source_files(count: int) -> list[str]:
    """So many files of the standard library that parse, and do not take long."""
    folder = Path(ast.__file__).parent
    chosen = [path for path in sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")) if parses(path)]
    return [str(path) for path in chosen[:count]]


def parses(path: Path) -> bool:
    source = path.read_bytes()
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return len(source) < 30_000


if __name__ == "__main__":
    sys.exit(main())
