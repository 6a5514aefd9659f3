"""Has workers and enqueuers of an older release go on while the schema is migrated, and counts what became of it.

    python -m tests.faults.upgrade [--release COMMIT] [--seconds 4] [--database-url URL]

The older release is the last tag of this repository, unless another commit is named. Without a tag it is this code, and
the newer one a copy with a migration more. Its workers and enqueuers run before, during and after the migration, then
beside workers of the newer release, then those alone. Then all goes back: those of the newer release end, and the older
one works alone again, on the new schema. Every job that an enqueuer was told of must have run once, and none be lost.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import psycopg

from tests.releases import ROOT, Releases, make_releases, newest_migration, unpack

JOBS = """
    from jobq import Job, register_job


    @register_job
    class Work(Job):
        def __init__(self, number, fails=False):
            self.number, self.fails = number, fails

        def run(self):
            if self.fails and self.job.attempt == 1:
                raise ValueError("the first time")
            return self.number

        def get_retries(self):
            return 1
"""

ENQUEUER = """
    import sys
    from itertools import count
    from pathlib import Path

    from jobq import enqueue_many
    from jobs import Work

    told = open(sys.argv[1], "a")
    for number in count():
        records = [Work(number, fails=number % 7 == 0).run_in_worker(delay=0.2 if number % 5 == 0 else None)]
        records += enqueue_many([Work(number), Work(number)])
        told.write("".join(f"{record.id}\\n" for record in records))
        told.flush()
        if Path(sys.argv[2]).exists():
            break
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", help="a commit of the older release")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each of the phases lasts")
    parser.add_argument("--database-url", help="an empty database; default: an embedded server of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-upgrade-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        return Upgrade(folder, url, releases_of(chosen.release, folder / "release"), chosen.seconds).run()


def releases_of(commit: str | None, folder: Path) -> Releases:
    if commit is None:
        return make_releases(folder)
    unpack(commit, folder)
    return Releases({"PYTHONPATH": str(folder)}, {}, newest_migration(folder), newest_migration(ROOT))


class Upgrade:
    def __init__(self, folder: Path, url: str, releases: Releases, seconds: float) -> None:
        self.url, self.seconds = url, seconds
        self.application = folder / "application"
        self.old, self.new = releases.before, releases.after
        self.problems: list[str] = []

    def run(self) -> int:
        self.make_application()
        self.jobq(self.old, "migrate").wait()
        with psycopg.connect(self.url, autocommit=True) as connection, ExitStack() as stack:
            self.connection = connection
            before = self.schema_version()
            old = self.workers(self.old, stack)
            enqueuers = [stack.enter_context(Killed(self.enqueuer(self.old, "old")))]
            self.let_work()
            migrated = time.monotonic()
            if self.jobq(self.new, "migrate").wait() != 0:
                self.problems.append("the migration failed")
            took = time.monotonic() - migrated
            ((migrated_at,),) = connection.execute("SELECT now()").fetchall()
            self.let_work()
            new = self.workers(self.new, stack)
            enqueuers.append(stack.enter_context(Killed(self.enqueuer(self.new, "new"))))
            self.let_work()
            self.tell_to_stop(old)
            self.tell_to_stop(new)
            came_back = self.workers(self.old, stack)
            self.let_work()
            (self.application / "stop").touch()
            self.end(enqueuers)
            self.wait_until_empty()
            self.tell_to_stop(came_back)
            print(f"the schema went from version {before} to {self.schema_version()} in {took:.2f} s")
            return self.account(migrated_at, [worker.pid for worker in old])

    def workers(self, release: Mapping[str, str], stack: ExitStack) -> "list[subprocess.Popen[bytes]]":
        """Two workers, once they are there: a signal that came before would end them as it ends any process."""
        started = [stack.enter_context(Killed(self.jobq(release, "run", "-p", "1"))) for _ in range(2)]
        pids = [process.pid for process in started]
        deadline = time.monotonic() + 60
        while self.count("SELECT count(*) FROM jobq.workers WHERE pid = ANY (%s) AND stopped_at IS NULL", pids) < 2:
            if time.monotonic() > deadline:
                self.problems.append("workers did not start")
                break
            time.sleep(0.05)
        return started

    def tell_to_stop(self, workers: "list[subprocess.Popen[bytes]]") -> None:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        self.end(workers)

    def make_application(self) -> None:
        self.application.mkdir()
        (self.application / "pyproject.toml").write_text("")
        (self.application / "jobs.py").write_text(dedent(JOBS))
        (self.application / "enqueuer.py").write_text(dedent(ENQUEUER))

    def jobq(self, release: Mapping[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
        return self.python(release, "-m", "jobq", *arguments)

    def enqueuer(self, release: Mapping[str, str], name: str) -> "subprocess.Popen[bytes]":
        return self.python(release, "enqueuer.py", f"{name}.told", "stop")

    def python(self, release: Mapping[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "JOBQ_DATABASE_URL": self.url, "JOBQ_STATS_EVERY": "0", **release}
        with (self.application / "log").open("ab") as log:
            return subprocess.Popen([sys.executable, *arguments], cwd=self.application, env=environment, stderr=log)

    def let_work(self) -> None:
        """A phase: so long, and until some hundred more jobs have ended in it."""
        until, ended = time.monotonic() + self.seconds, self.count("SELECT count(*) FROM jobq.results")
        while time.monotonic() < until or self.count("SELECT count(*) FROM jobq.results") < ended + 100:
            if time.monotonic() > until + 60:
                self.problems.append("nothing was worked in a phase")
                return
            time.sleep(0.05)

    def end(self, processes: "list[subprocess.Popen[bytes]]") -> None:
        self.problems += [f"{process.args!r} ended with {code}" for process in processes if (code := process.wait(60))]

    def wait_until_empty(self) -> None:
        deadline = time.monotonic() + 120
        while self.count("SELECT count(*) FROM jobq.jobs") and time.monotonic() < deadline:
            time.sleep(0.05)

    def schema_version(self) -> int:
        return self.count("SELECT max(version) FROM jobq.migrations")

    def count(self, query: str, *parameters: object) -> int:
        row = self.connection.execute(query.encode(), parameters or None).fetchone()
        assert row is not None
        return int(row[0])

    def account(self, migrated_at: object, old: list[int]) -> int:
        told = {
            name: [int(line) for line in (self.application / f"{name}.told").read_text().split()]
            for name in ("old", "new")
        }
        ids = [*told["old"], *told["new"]]
        finals = self.connection.execute(
            "SELECT id, count(*) FILTER (WHERE NOT retried), count(*) FILTER (WHERE outcome = 'successful'), "
            "count(*) FILTER (WHERE outcome = 'lost') FROM jobq.results GROUP BY id"
        ).fetchall()
        ends = {job: (at_rest, successful, lost) for job, at_rest, successful, lost in finals}
        self.problems += [f"job {job}: {ends.get(job)}" for job in ids if ends.get(job) != (1, 1, 0)][:20]
        unfinished = self.count("SELECT count(*) FROM jobq.jobs")
        by_old = self.count(
            "SELECT count(*) FROM jobq.results JOIN jobq.workers ON workers.id = worker_id "
            "WHERE pid = ANY (%s) AND ended_at > %s",
            old,
            migrated_at,
        )
        print(f"enqueued by the old release {len(told['old'])}, by the new {len(told['new'])}; unfinished {unfinished}")
        print(f"attempts by workers of the old release on the new schema: {by_old}")
        log = (self.application / "log").read_text()
        bad = [line for line in log.splitlines() if "Traceback" in line or " error " in line.lower()]
        self.problems += bad[:10]
        if not by_old or not told["new"] or unfinished:
            self.problems.append("a part of it did not take place")
        print("\n".join(self.problems) or "every job ran once, and none was lost")
        return 1 if self.problems else 0


class Killed:
    """A process that does not outlive the block."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def __enter__(self) -> "subprocess.Popen[bytes]":
        return self.process

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    sys.exit(main())
