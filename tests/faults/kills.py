"""Kills workers and children at random while jobs are enqueued and run, then holds three accounts against each other.

    python -m tests.faults.kills [--jobs 20000] [--workers 2] [--enqueuers 4] [--seed 1] [--database-url URL]

The jobs analyse source files of the standard library, and write each run into a ledger that jobq does not know: a file,
appended to. At the end every job that was enqueued must be in exactly one final state, must have run at least once
where it succeeded, and may have run more often only as often as an attempt of it is recorded as lost.
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

REPOSITORY = Path(__file__).parents[2]

JOBS = '''
    import ast
    import hashlib
    import os
    from pathlib import Path

    from jobq import Job, register_job

    @register_job
    class Analyse(Job):
        """Parses one file, then writes into the ledger that it did."""

        def __init__(self, path: str, token: str, ledger: str):
            self.path, self.token, self.ledger = path, token, ledger

        def run(self):
            source = Path(self.path).read_bytes()
            tree = ast.parse(source)
            functions = sum(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))
            fd = os.open(self.ledger, os.O_WRONLY | os.O_APPEND)
            os.write(fd, f"{self.token}\\n".encode())
            os.close(fd)
            return {"functions": functions, "sha256": hashlib.sha256(source).hexdigest()}

        def get_queue(self):
            return f"files-{len(self.path) % 3}"

        def get_priority(self):
            return len(self.path) % 5
'''

ENQUEUER = """
    import sys
    from itertools import islice
    from jobq import enqueue_many
    from jobs import Analyse

    number, count, ledger, acknowledged, *paths = sys.argv[1:]
    with open(acknowledged, "a") as out:
        def acknowledge(records):
            out.writelines(f"{record.id} {record.arguments['token']}\\n" for record in records)
            out.flush()

        done = 0
        while done < int(count):
            batch = [
                Analyse(paths[i % len(paths)], f"{number}-{i}", ledger)
                for i in range(done, min(done + 100, int(count)))
            ]
            # One in ten batches goes one by one, as a web application would.
            if done % 1000 == 0:
                acknowledge([job.run_in_worker() for job in batch])
            else:
                acknowledge(enqueue_many(batch))
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
        self.acknowledged = [folder / f"acknowledged-{number}" for number in range(chosen.enqueuers)]
        self.log = folder / "workers.log"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.kills: Counter[str] = Counter()
        self.environment = {
            **os.environ,
            "JOBQ_DATABASE_URL": url,
            "JOBQ_SCHEMA": "jobq_kills",
            "JOBQ_HEARTBEAT_EVERY": "0.5",
            "JOBQ_HEARTBEAT_TIMEOUT": "3",
            "JOBQ_MAX_LOSSES": "50",
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
                [sys.executable, "enqueuer.py", str(number), str(share), str(self.ledger), str(file), *paths],
                cwd=self.folder,
                env=self.environment,
            )
            for number, file in enumerate(self.acknowledged)
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
        children = child_processes(worker.pid)
        if children and self.random.random() < 0.6:
            os.kill(self.random.choice(children), signal.SIGKILL)
            self.kills["child"] += 1
            return
        worker.kill()
        worker.wait()
        self.kills["supervisor"] += 1
        self.workers[number] = self.start_worker()

    def report(self, took: float) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            problems, figures = account(connection, self.ledger, self.acknowledged)
        figures |= {"seconds": round(took, 1), "killed": dict(self.kills), "seed": self.chosen.seed}
        print("\n".join(f"{name}: {figure}" for name, figure in figures.items()))
        for problem in problems[:20]:
            print(f"WRONG: {problem}")
        print("every job is accounted for" if not problems else f"{len(problems)} jobs are not accounted for")
        return 1 if problems else 0

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def account(
    connection: psycopg.Connection[Any], ledger: Path, acknowledged: list[Path]
) -> tuple[list[str], dict[str, Any]]:
    """Holds what was acknowledged, what is in the history, and what the jobs wrote against each other."""
    enqueued = {
        int(job): token
        for file in acknowledged
        for job, token in (line.split() for line in file.read_text().splitlines())
    }
    runs = Counter(ledger.read_text().split())
    final: dict[int, list[str]] = {}
    losses: Counter[int] = Counter()
    attempts: Counter[tuple[int, int]] = Counter()
    for job, attempt, outcome, retried in connection.execute(
        "SELECT id, attempt, outcome, retried FROM jobq_kills.results"
    ):
        attempts[job, attempt] += 1
        losses[job] += outcome == "lost"
        if not retried:
            final.setdefault(job, []).append(outcome)
    problems = [f"job {job} has {len(final.get(job, []))} ends" for job in enqueued if len(final.get(job, [])) != 1]
    problems += [f"job {job} was never acknowledged" for job in final if job not in enqueued]
    problems += [f"attempt {attempt} has {count} ends" for attempt, count in attempts.items() if count > 1]
    for job, token in enqueued.items():
        ran, lost = runs[token], losses[job]
        if final.get(job) == ["successful"] and ran < 1:
            problems.append(f"job {job} is recorded as successful, but never ran to its end")
        if ran > 1 + lost:
            problems.append(f"job {job} ran {ran} times, with {lost} attempts recorded as lost")
    figures = {
        "enqueued": len(enqueued),
        "final": dict(Counter(outcome for outcomes in final.values() for outcome in outcomes)),
        "attempts recorded": sum(attempts.values()),
        "lost attempts": sum(losses.values()),
        "runs to the end": sum(runs.values()),
        "jobs that ran more than once": sum(count > 1 for count in runs.values()),
    }
    return problems, figures


def unfinished(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM jobq_kills.jobs").fetchone()
    assert row is not None
    return int(row[0])


def child_processes(pid: int) -> list[int]:
    """The children of a process, as the kernel lists them."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


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
