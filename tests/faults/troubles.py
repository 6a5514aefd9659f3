"""Plants five troubles in a database, finds and mends each in the console with keys only, and counts the keys.

    python -m tests.faults.troubles [--successes 100000] [--failures 10000]

It starts an embedded server of its own, a real worker, and the real console in tmux, at 120 by 40. A trouble counts as
mended when the database says so. None may take more than ten keys; a number that must be typed counts as its digits.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from jobq import embedded
from jobq.store import workers

JOBS = """
import os
import signal

from jobq import Job, register_job


@register_job
class Receipt(Job):
    def __init__(self, n=0):
        pass

    def run(self):
        pass


@register_job
class Invoice(Receipt):
    pass


@register_job
class Hook(Receipt):
    pass


@register_job
class Export(Job):
    def run(self):
        os.kill(os.getpid(), signal.SIGSEGV)
"""

MOST_KEYS = 10
CAUSES = (
    ("Receipt", "TimeoutError", "read timed out after 30 s", 0.6),
    ("Invoice", "KeyError", "'vat_id'", 0.3),
    ("Hook", "ConnectionResetError", "[Errno 104] peer reset", 0.1),
)


class Terminal:
    """The console in tmux."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", str(folder / "tmux.conf")]
        self.keys: list[str] = []
        program = f"{sys.executable} -m jobq tui"
        # Where the console ends by itself, its last words stay on the screen.
        (folder / "tmux.conf").write_text("set-option -g remain-on-exit on\n")
        self._run("new-session", "-d", "-x", "120", "-y", "40", "-c", str(folder), program, environment=environment)

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keys.append(key)
            self._run("send-keys", key)

    def wait(self, *words: str, without: str = "\0", timeout: float = 60) -> str:
        """Waits until all of these words are on the screen, as somebody does who looks before the next key."""

        def seen() -> str | None:
            text = self.text
            return text if all(word in text for word in words) and without not in text else None

        return until(seen, f"no {words} on the screen", timeout, lambda: self.text)

    def choose(self, words: str, part: str, *, without: str = "\0") -> None:
        """Moves the cursor to a line of the list of what needs somebody, a key a line, once a line above has gone."""
        text = self.wait(words, without=without)
        lines = [line for line in text[text.index(part) :].splitlines()[1:] if len(line) > 60]
        place = next(place for place, line in enumerate(lines) if words in line)
        self.press(*["j"] * place)

    def close(self) -> None:
        self._run("kill-server")


def until(condition: Callable[[], Any], what: str, timeout: float = 60, show: Callable[[], str] = lambda: "") -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} within {timeout:g} s\n{show()}")
        time.sleep(0.05)
    return found


@dataclass
class Scene:
    """The database with its troubles, and what is asked of it."""

    connection: psycopg.Connection[Any]
    failures: int
    successes: int
    ids: dict[str, list[int]] = field(default_factory=dict)

    def one(self, query: str, *parameters: Any) -> Any:
        row = self.connection.execute(query.encode(), parameters or None).fetchone()
        assert row is not None
        return row[0]

    def plant(self) -> None:
        self._history()
        self.connection.execute(
            "INSERT INTO jobq.queues (name, paused_at, paused_by) VALUES ('reports', now() - interval '3 h', 'bo@ops')"
        )
        self._jobs(40, "jobs.Receipt", "reports")
        self._jobs(12, "jobs.Merge", "default")
        self._jobs(1, "jobs.Export", "default")
        worker = self.one(
            "INSERT INTO jobq.workers (host, pid, version, processes, queues, heartbeat_at, classes) "
            "VALUES ('web-3', 7121, '0.1.0', 8, '{}', now() - interval '31 min', '[]') RETURNING id"
        )
        self.connection.execute(
            "INSERT INTO jobq.jobs (job_class, arguments, queue, attempt, worker_id, started_at) "
            "SELECT 'jobs.Receipt', jsonb_build_object('n', n), 'default', 1, %s, now() - interval '5 min' "
            "FROM generate_series(1, 8) AS n",
            [worker],
        )
        workers.note_claims(self.connection, "jobq")

    def _jobs(self, number: int, job_class: str, queue: str) -> None:
        self.connection.execute(
            "INSERT INTO jobq.jobs (job_class, arguments, queue) SELECT %s, '{}', %s FROM generate_series(1, %s)",
            [job_class, queue, number],
        )

    def _history(self) -> None:
        """The failures lie scattered among the successes of the last hour."""
        insert = (
            "INSERT INTO jobq.results (id, attempt, ended_at, started_at, enqueued_at, run_at, retries, priority, "
            "retried, outcome, queue, job_class, arguments, error_type, error_message, traceback, fingerprint, frame) "
            "SELECT nextval('jobq.jobs_id_seq'), 1, at, at - interval '1 s', at - interval '2 s', at - interval '2 s', "
            "0, 0, false, %s, 'default', %s, jsonb_build_object('n', n), %s, %s, %s, %s, %s "
            "FROM generate_series(1, %s) AS n, LATERAL (SELECT now() - random() * interval '50 min' AS at) AS moment"
        )
        for place, (name, error, message, share) in enumerate(CAUSES):
            traceback = f'Traceback (most recent call last):\n  File "jobs.py", line 9, in run\n{error}: {message}\n'
            rest = [error, message, traceback, f"{place:08x}", "jobs.py:9 run", round(self.failures * share)]
            self.connection.execute(insert.encode(), ["errored", f"jobs.{name}", *rest])
        nothing = [None] * 5
        self.connection.execute(insert.encode(), ["successful", "jobs.Receipt", *nothing, self.successes])
        self.connection.execute("ANALYZE jobq.results")


def dead_worker(console: Terminal, scene: Scene) -> None:
    console.choose("web-3/7121 silent", "NEEDS YOU")
    console.press("Enter")
    console.wait("CHILD", "web-3/7121")
    console.press("S")
    console.wait("Declare web-3/7121 dead")
    console.press("y")
    done = "SELECT count(*) = 8 FROM jobq.results WHERE outcome = 'lost' AND job_class = 'jobs.Receipt'"
    until(lambda: scene.one(done), "the dead worker's jobs were not taken over", show=lambda: console.text)


def paused_queue(console: Terminal, scene: Scene) -> None:
    console.choose("reports paused", "NEEDS YOU")
    console.press("p")
    console.wait("Resume reports")
    console.press("y")
    until(lambda: scene.one("SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'reports'"), "the queue is not worked")


def unknown_class(console: Terminal, scene: Scene) -> None:
    console.choose("jobs.Merge: no worker knows it", "NEEDS YOU", without="reports paused")
    console.press("Enter")
    console.wait("class:jobs.Merge", "12 match")
    console.press("*", "c")
    console.wait("Cancel 12 jobs")
    console.press("y")
    until(lambda: scene.one("SELECT count(*) = 0 FROM jobq.jobs WHERE job_class = 'jobs.Merge'"), "they still wait")


def killer(console: Terminal, scene: Scene) -> None:
    console.choose("Export: 1 ×", "NEEDS YOU", without="no worker knows it")
    console.press("Enter")
    console.wait("Export", "AT REST")
    console.press("D")
    console.wait("Purge 1 job")
    console.press("1", "Enter")
    gone = "SELECT count(*) = 0 FROM jobq.results WHERE job_class = 'jobs.Export'"
    until(lambda: scene.one(gone), "it is still in the history")


def cause(place: int) -> Callable[[Terminal, Scene], None]:
    name, error, _, share = CAUSES[place]

    def mend(console: Terminal, scene: Scene) -> None:
        number = round(scene.failures * share)
        console.choose(f"{name}: {number:,} × {error}", "NEEDS YOU", without="Export: 1 ×")
        console.press("Enter")
        console.wait("AT REST", error)
        console.press("r")
        console.wait(f"Retry {number:,} jobs", timeout=120)
        console.press(*str(number), "Enter")
        mended = (
            "SELECT count(*) FILTER (WHERE outcome = 'errored' AND NOT retried) = 0 "
            "AND count(*) FILTER (WHERE attempt = 2 AND outcome = 'successful') >= %s "
            "FROM jobq.results WHERE job_class = %s"
        )
        until(lambda: scene.one(mended, number, f"jobs.{name}"), "not all were successful", 120, lambda: console.text)

    return mend


TROUBLES: dict[str, Callable[[Terminal, Scene], None]] = {
    "a dead worker with its jobs": dead_worker,
    "a queue paused by mistake": paused_queue,
    "a class that no worker knows": unknown_class,
    "a job that kills its process": killer,
    **{f"{share:.0%} of the failures: {error}": cause(place) for place, (_, error, _, share) in enumerate(CAUSES)},
}


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that knows the jobs."""
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "jobq", "run"], cwd=folder, env=environment, stderr=log)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--successes", type=int, default=100_000)
    parser.add_argument("--failures", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jobq-troubles-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = embedded.attach(folder / "server", linger=0)
        try:
            return play(folder, server.url, chosen)
        finally:
            server.close()
            embedded.stop(folder / "server")


def play(folder: Path, url: str, chosen: argparse.Namespace) -> int:
    # The dead worker must not be declared dead by the others before anybody looks.
    (folder / "pyproject.toml").write_text("[tool.jobq]\nheartbeat_timeout = 3600\n")
    (folder / "jobs.py").write_text(JOBS)
    environment = {**os.environ, "JOBQ_DATABASE_URL": url, "TERM": "xterm-256color"}
    subprocess.run([sys.executable, "-m", "jobq", "migrate"], cwd=folder, env=environment, check=True)
    with psycopg.connect(url, autocommit=True) as connection, running(folder, environment) as worker:
        scene = Scene(connection, chosen.failures, chosen.successes)
        scene.plant()
        lost = "SELECT count(*) = 1 FROM jobq.results WHERE outcome = 'lost' AND NOT retried"
        until(lambda: scene.one(lost), "the job that kills its process was not lost for good")
        console = Terminal(folder, environment)
        try:
            worst = mend_all(console, scene)
            stop(console, worker)
        finally:
            console.close()
    return 0 if worst <= MOST_KEYS else 1


def mend_all(console: Terminal, scene: Scene) -> int:
    console.wait("NEEDS YOU")
    worst = 0
    for name, mend in TROUBLES.items():
        console.press("1")
        console.wait("NEEDS YOU", "CLASSES")
        console.press("g")
        console.keys.clear()  # from here on they count: the first screen, the cursor on its first line
        began = time.monotonic()
        mend(console, scene)
        worst = max(worst, len(console.keys))
        keys, seconds = " ".join(console.keys), time.monotonic() - began
        print(f"{len(console.keys):>3} keys  {seconds:5.1f} s  {name}: {keys}", flush=True)
    return worst


def stop(console: Terminal, worker: "subprocess.Popen[bytes]") -> None:
    """At last the worker is asked to end, and does."""
    console.keys.clear()
    console.press("5")
    console.wait("HEARD OF")
    console.press("S")
    console.wait("Stop ")
    console.press("y")
    code = worker.wait(60)
    print(f"{len(console.keys):>3} keys  the worker stops, exit code {code}: {' '.join(console.keys)}", flush=True)
    assert code == 0


if __name__ == "__main__":
    raise SystemExit(main())
