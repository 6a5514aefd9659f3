"""Writes rows of jobs by hand, a thousand kinds of them, while ordinary jobs run beside them.

    python -m tests.faults.rows [--seconds 60] [--seed 1] [--database-url URL]

Into each column that enqueuers fill goes whatever the column takes: too much, too deep, too far, nothing that fits
together. An ordinary job of the same queue and one of another must end all the same, every look and every act must end
cleanly, and no part of the worker may fail.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from jobq import observe, operate
from jobq.errors import JobqError
from jobq.filters import Moment, parse
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database
from jobq.testing import used

JOBS = """
    from jobq import Job, register_job


    @register_job
    class Keep(Job):
        def __init__(self, value=None):
            pass

        def run(self):
            pass

        def on_aborted(self, result):
            pass
"""

KEEP = "jobs.Keep"
QUEUE, OTHER_QUEUE = "default", "other"

Chosen = random.Random


@dataclass(frozen=True)
class Sql:
    """A value that PostgreSQL makes: it would be too large to send."""

    text: str


def document(chosen: Chosen) -> Any:
    """Arguments: from ordinary ones to what no process could read."""
    return chosen.choice((
        lambda: repeated(chosen.randint(1, 31), chosen.randint(1, 3_000_000)),
        lambda: repeated(1, chosen.randint(11_500_000, 13_000_000)),
        lambda: Sql(f"jsonb_build_object('value', {numbers(chosen, chosen.choice((1, 80, 9000)))})"),
        lambda: Sql(f"jsonb_build_object(repeat('k', {chosen.randint(1, 100_000)}), 1)"),
        lambda: '{"value": ' + "[" * (depth := chosen.randint(1, 6000)) + "]" * depth + "}",
        lambda: '{"value": ' + chosen.choice(("-", "")) + "1" + "0" * chosen.randint(1, 100_000) + "}",
        lambda: json.dumps({"value": text(chosen)}),
        lambda: json.dumps({"value": {"$": text(chosen, 20), "v": [text(chosen, 20), chosen.randint(-9**30, 9**30)]}}),
        lambda: json.dumps({text(chosen, 50): [None, True, 1e308, {"": {}}] for _ in range(chosen.randint(0, 50))}),
        lambda: chosen.choice(("[]", "7", '"text"', "null", "{}", "{", "")),
    ))()  # fmt: skip


def repeated(character: int, count: int) -> Sql:
    """A text that is some bytes as stored and many as text."""
    return Sql(f"jsonb_build_object('value', repeat(chr({character}), {count}))")


def numbers(chosen: Chosen, count: int) -> str:
    """An array of numbers, each of which takes some bytes stored and a hundred thousand as text."""
    number = chosen.choice(("1e131071", "-1e131071", "1e-16383"))
    return f"(SELECT jsonb_agg({number}::numeric) FROM generate_series(1, {count}))"


def text(chosen: Chosen, longest: int = 2000) -> str:
    return "".join(chosen.choices(LETTERS, k=chosen.randint(0, longest)))


LETTERS = "aZ0 '\"\\%;:/[]{}<>&$\x01\x07\x1b\x7f\x85\u00e9\u200b\u202e\u2028\ufeff\U0001f600\n\t"

TIMES = (
    "infinity", "-infinity", "294276-12-31Z", "4713-01-01Z BC", "20000-01-01Z", "9999-12-31Z", "9998-12-31Z",
    "1970-01-01Z", "1969-12-31Z", "0001-01-01Z", "now", "tomorrow", "yesterday", "soon",
)  # fmt: skip
INTEGERS = (0, 1, -1, 7, 2**15 - 1, -(2**15), 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
FLOATS = ("NaN", "Infinity", "-Infinity", "0", "-1", "1e-30", "1e38", "1e39", "0.5")

COLUMNS: dict[str, Callable[[Chosen], Any]] = {
    "job_class": lambda chosen: chosen.choice((KEEP, KEEP, "os.system", text(chosen, 100), "c" * 10_000, "")),
    "arguments": document,
    "queue": lambda chosen: chosen.choice((QUEUE, QUEUE, OTHER_QUEUE, text(chosen, 60), "q" * 10_000, "")),
    "priority": lambda chosen: chosen.choice(INTEGERS),
    "retries": lambda chosen: chosen.choice(INTEGERS),
    "unique_key": lambda chosen: chosen.choice((None, text(chosen, 300), "k" * 10_000)),
    "source": lambda chosen: chosen.choice((text(chosen), Sql(f"repeat('s', {chosen.randint(1, 20_000_000)})"))),
    "trace_context": document,
    "run_at": lambda chosen: chosen.choice(TIMES),
    "is_due": lambda chosen: chosen.random() < 0.5,
    "timeout": lambda chosen: chosen.choice(FLOATS),
    "expires_at": lambda chosen: chosen.choice(TIMES),
    "has_abort_hook": lambda chosen: chosen.choice((True, False)),
}
"""The columns that enqueuers fill, and what one of them may hold. Ids are the database's alone."""


@dataclass
class Fuzzer:
    """Writes rows, and does with them all that one can do with a job."""

    database: Database
    connection: psycopg.Connection[tuple[Any, ...]]
    chosen: Chosen
    tally: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def write(self, count: int) -> list[int]:
        """Writes so many rows; returns the ids of those that the table took."""
        return [job_id for _ in range(count) if (job_id := self.write_one()) is not None]

    def write_one(self) -> int | None:
        names = self.chosen.sample(sorted(COLUMNS), self.chosen.randint(1, 5))
        row = {"job_class": KEEP, **{name: COLUMNS[name](self.chosen) for name in names}}
        return self.insert(row)

    def insert(self, row: dict[str, Any]) -> int | None:
        values = ", ".join(value.text if isinstance(value, Sql) else "%s" for value in row.values())
        given = [value for value in row.values() if not isinstance(value, Sql)]
        statement = f"INSERT INTO jobq.jobs ({', '.join(row)}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id"
        try:
            found = self.connection.execute(statement.encode(), given).fetchone()
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.OperationalError) as error:
            self.tally[f"refused: {type(error).__name__}"] += 1
            return None
        self.tally["written"] += 1
        return None if found is None else int(found[0])

    def ordinary(self) -> list[int]:
        """A job of the same queue as most of the rows, and one of another queue."""
        ids = [self.insert({"job_class": KEEP, "queue": queue}) for queue in (QUEUE, OTHER_QUEUE)]
        return [job_id for job_id in ids if job_id is not None]

    def have_ended(self, ids: list[int]) -> bool:
        statement = "SELECT count(*) FROM jobq.results WHERE id = ANY (%s) AND outcome = 'successful'"
        return self.connection.execute(statement, [ids]).fetchone() == (len(ids),)

    def look(self, ids: list[int]) -> None:
        """Looks at all of them and at each, in every way there is; raises what is no answer."""
        for selection in ("", "state:pending", "state:finished", "a", "args.value:a"):
            with answering(self.tally):
                observe.list_jobs(self.database, parse(selection), limit=200)
        for job_id in ids:
            with answering(self.tally):
                observe.show(self.database, job_id)
                observe.why(self.database, job_id)
                observe.look(self.database, observe.finding(self.database.schema, job_id))
                self.tally["looks"] += 3
            with answering(self.tally):
                observe.stored_arguments(self.database, job_id)
        with answering(self.tally):
            observe.doctor(self.database)
            observe.stats(self.database)
            observe.failures(self.database, Moment(3600.0))

    def act(self, ids: list[int]) -> None:
        """Does to them what operators do, and takes it back."""
        for verb in (operate.cancel, operate.retry, operate.purge):
            chosen = self.chosen.sample(ids, min(len(ids), 5))
            with answering(self.tally):
                acted = verb(self.database, chosen)
                self.tally["acts"] += 1
                if acted.act is not None and self.chosen.random() < 0.5:
                    operate.undo(self.database, acted.act)
        for job_id in self.chosen.sample(ids, min(len(ids), 2)):
            with answering(self.tally):
                operate.run_again(self.database, job_id, {"value": 1})


@contextmanager
def answering(tally: Counter[str]) -> Iterator[None]:
    """An error of jobq's own is an answer; any other is raised."""
    try:
        yield
    except JobqError as error:
        tally[f"answered: {type(error).__name__}"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=25, help="rows of each round")
    parser.add_argument("--database-url", help="an empty database; default: an embedded server of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-rows-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        database = stack.enter_context(used(Settings(database_url=url)))
        migrations.migrate(database)
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        fuzzer = Fuzzer(database, connection, random.Random(chosen.seed))
        return run(fuzzer, folder, url, chosen)


def run(fuzzer: Fuzzer, folder: Path, url: str, chosen: argparse.Namespace) -> int:
    (folder / "jobs.py").write_text(dedent(JOBS))
    log = folder / "worker.log"
    environment = {**os.environ, "JOBQ_DATABASE_URL": url, "JOBQ_STATS_EVERY": "0"}
    with log.open("wb") as stderr:
        worker = subprocess.Popen(
            [sys.executable, "-m", "jobq", "run", "-p", "2"], cwd=folder, env=environment, stderr=stderr
        )
    try:
        rounds = fuzz(fuzzer, chosen)
        faces = [use(face, folder, environment) for face in FACES]
    finally:
        worker.terminate()
        worker.wait(60)
    found = log.read_text(errors="replace")
    bad = [line for line in found.splitlines() if "Traceback" in line or "failed" in line or "child died" in line]
    print("\n".join([f"{what}: {count:,}" for what, count in sorted(fuzzer.tally.items())]))
    print(f"rounds: {rounds:,}; the slowest ordinary job ended {fuzzer.slowest:.2f} s after it was enqueued")
    for line in (*bad, *filter(None, faces)):
        print(line)
    return 1 if bad or any(faces) else 0


FACES = (["list"], ["list", "--json"], ["list", "finished", "--limit", "500"], ["doctor"], ["stats"], ["failures"])


def use(face: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What is wrong with a command of the shell; nothing where it ended cleanly."""
    ended = subprocess.run(
        [sys.executable, "-m", "jobq", *face],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if ended.returncode in (0, 1) and "Traceback" not in ended.stderr:
        return ""
    return f"jobq {' '.join(face)} ended with {ended.returncode}: {ended.stderr[-500:]}"


def fuzz(fuzzer: Fuzzer, chosen: argparse.Namespace) -> int:
    """Rounds until the time is up; raises where an ordinary job does not end, or a look or an act fails."""
    wait_for(fuzzer, fuzzer.ordinary(), 60.0)  # the worker has started
    fuzzer.slowest = 0.0
    until, rounds = time.monotonic() + chosen.seconds, 0
    while time.monotonic() < until:
        rounds += 1
        rows = fuzzer.write(chosen.rows)
        wait_for(fuzzer, fuzzer.ordinary(), 30.0)
        fuzzer.look(rows)
        fuzzer.act(rows)
        # Unknown classes and jobs of the year 9998 would gather.
        fuzzer.connection.execute("DELETE FROM jobq.jobs WHERE state <> 'running'")
    return rounds


def wait_for(fuzzer: Fuzzer, ids: list[int], seconds: float) -> None:
    began = time.monotonic()
    while not fuzzer.have_ended(ids):
        if time.monotonic() > began + seconds:
            raise AssertionError(f"ordinary jobs {ids} have not ended within {seconds:g} s beside rows written by hand")
        time.sleep(0.01)
    fuzzer.slowest = max(fuzzer.slowest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
