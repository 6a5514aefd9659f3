"""What the database allows: the same work by bare statements, with no Python queue around them."""

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.bench import SCHEMA, Bench
from jobq.records import Report
from jobq.store import jobs as store
from jobq.store.claiming import QueuePosition

BATCH = 500

BARE_INSERT = f"INSERT INTO {SCHEMA}.jobs (job_class, arguments) VALUES (%s::text, %s::jsonb) RETURNING id"
"""With types of their own: a prepared statement outlives the domains of the columns, which each round makes anew."""

CLIENT = """
import sys, time
import psycopg

url, statement, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("SELECT 1")
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(number):
        connection.execute(statement, ["jobs.Nothing", "{}"])
"""

JOBQ_CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
from jobs import Nothing

number = int(sys.argv[2])
Nothing().run_in_worker()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(number):
    Nothing().run_in_worker()
"""


def clients(number: int, script: str, *arguments: str) -> float:
    """Seconds from the word to begin until the last of so many processes has ended."""
    command = [sys.executable, "-c", script, *arguments]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a client did not start")
        began = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        codes = [process.wait(timeout=600) for process in processes]
        if any(codes):
            raise RuntimeError("a client failed")
        return time.monotonic() - began
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def insert(bench: Bench, jobs: int) -> float:
    """One client, one row and one commit a statement."""
    bench.begin()
    began = time.monotonic()
    for _ in range(jobs):
        bench.connection.execute(BARE_INSERT.encode(), ["jobs.Nothing", "{}"])
    return jobs / (time.monotonic() - began)


def insert_by_clients(bench: Bench, jobs: int, number: int) -> float:
    bench.begin()
    return jobs // number * number / clients(number, CLIENT, bench.url, BARE_INSERT, str(jobs // number))


def copy(bench: Bench, jobs: int) -> float:
    bench.begin()
    began = time.monotonic()
    with bench.connection.cursor().copy(f"COPY {SCHEMA}.jobs (job_class, arguments) FROM STDIN".encode()) as rows:
        for _ in range(jobs):
            rows.write_row(("jobs.Nothing", "{}"))
    return jobs / (time.monotonic() - began)


def own_statements(bench: Bench, fill: Callable[[int], object], jobs: int) -> float:
    """jobq's own claim and finish, one after the other on one connection."""
    bench.begin()
    fill(jobs)
    worker = bench.value(
        "INSERT INTO {schema}.workers (host, pid, version, processes, queues) VALUES ('bare', 1, '', 1, '{{}}') "
        "RETURNING id"
    )
    with bench.database.connect("bench", walk_indexes=True) as connection:
        position, done = QueuePosition("default"), 0
        began = time.monotonic()
        while claimed := store.claim(
            connection, SCHEMA, worker_id=worker, positions=[position], classes=["jobs.Nothing"], most=BATCH
        ):
            now = time.monotonic()
            reports = [Report(job.id, job.attempt, "successful", now, now, 5, 20_000) for job in claimed]
            store.finish(connection, SCHEMA, worker_id=worker, reports=reports, now=time.monotonic())
            position = QueuePosition("default", claimed[-1].priority, claimed[-1].id)
            done += len(claimed)
        seconds = time.monotonic() - began
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were claimed")
    return jobs / seconds


BARE_TABLE = f"""
    CREATE TABLE {SCHEMA}.bare (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL, state text NOT NULL,
        run_at timestamptz NOT NULL, arguments jsonb NOT NULL
    );
    CREATE INDEX ON {SCHEMA}.bare (queue, id) WHERE state = 'pending';
    CREATE TABLE {SCHEMA}.bare_done (LIKE {SCHEMA}.bare);
"""
BARE_CLAIM = f"""
    UPDATE {SCHEMA}.bare SET state = 'running'
    WHERE id = ANY (ARRAY(
        SELECT id FROM {SCHEMA}.bare WHERE queue = 'default' AND state = 'pending' AND id > %s
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
"""
BARE_FINISH = f"""
    WITH ended AS (DELETE FROM {SCHEMA}.bare WHERE id = ANY (%s) RETURNING *)
    INSERT INTO {SCHEMA}.bare_done SELECT * FROM ended
"""


def bare_table(bench: Bench, jobs: int) -> float:
    """The same loop on a table of five columns, with a history that has no index."""
    bench.begin()
    bench.connection.execute(BARE_TABLE.encode())
    bench.connection.execute(
        f"INSERT INTO {SCHEMA}.bare (queue, state, run_at, arguments) "
        f"SELECT 'default', 'pending', now(), '{{}}' FROM generate_series(1, {jobs})".encode()
    )
    last, done, began = 0, 0, time.monotonic()
    while claimed := [row for (row,) in bench.connection.execute(BARE_CLAIM.encode(), [last, BATCH]).fetchall()]:
        bench.connection.execute(BARE_FINISH.encode(), [claimed])
        last, done = max(claimed), done + len(claimed)
    seconds = time.monotonic() - began
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} rows were claimed")
    return jobs / seconds
