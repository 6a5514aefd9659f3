"""The measures. Each enters figures of its own into the bench, all contestants in turns."""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import psycopg

from benchmarks import limits
from benchmarks.bench import SCHEMA, Bench, LeftOut, cpu_seconds, memory_megabytes
from benchmarks.gates import gates
from benchmarks.peers import LostOrDoubled, Peer, PeerFailed
from jobq import operate

TEXT = "x" * 200
"""Arguments of some 200 bytes."""

CLIENTS = 16
LATENCIES = 300


def fill(number: int, text: str = "") -> None:
    from jobs import Nothing  # type: ignore[import-not-found]  # written at run time

    from jobq import enqueue_many

    enqueue_many([Nothing(text) if text else Nothing() for _ in range(number)])


def peer_contestants(peers: list[Peer], measure: Callable[[Peer], float]) -> dict[str, Callable[[], float]]:
    def run(peer: Peer) -> float:
        try:
            peer.begin()
            return measure(peer)
        except PeerFailed as error:
            raise LeftOut(str(error)) from error

    return {peer.name: partial(run, peer) for peer in peers}


# Into the queue


def enqueue(bench: Bench, peers: list[Peer]) -> None:
    """One by one, each in a transaction of its own."""
    from jobs import Nothing

    number = max(1, bench.jobs // 25)

    def jobq() -> float:
        bench.begin()
        Nothing().run_in_worker()
        began = time.monotonic()
        for _ in range(number):
            Nothing().run_in_worker()
        return number / (time.monotonic() - began)

    def jobq_by_clients() -> float:
        bench.begin()
        script = limits.JOBQ_CLIENT
        each = number // CLIENTS + 1
        return each * CLIENTS / limits.clients(CLIENTS, script, str(bench.folder), str(each))

    bench.compare(
        "enqueue one by one",
        "jobs/s",
        {
            "a bare INSERT": partial(limits.insert, bench, number),
            "jobq": jobq,
            **peer_contestants(peers, lambda peer: peer.enqueue(number)),
        },
    )
    bench.compare(
        f"enqueue by {CLIENTS} clients",
        "jobs/s",
        {
            "a bare INSERT": lambda: limits.insert_by_clients(bench, (number // CLIENTS + 1) * CLIENTS, CLIENTS),
            "jobq": jobq_by_clients,
        },
    )


def bulk(bench: Bench, peers: list[Peer]) -> None:
    """`enqueue_many`, all in one transaction."""

    def jobq() -> float:
        bench.begin()
        began = time.monotonic()
        fill(bench.jobs)
        return bench.jobs / (time.monotonic() - began)

    bench.compare(
        "enqueue_many",
        "jobs/s",
        {
            "COPY": partial(limits.copy, bench, bench.jobs),
            "jobq": jobq,
            **peer_contestants(peers, lambda peer: peer.enqueue_many(bench.jobs)),
        },
    )


# Out of the queue


def drained(bench: Bench, *, workers: int = 1, text: str = "") -> float:
    bench.begin()
    fill(bench.jobs, text)
    bench.connection.execute(f"ANALYZE {SCHEMA}.jobs".encode())
    return bench.drain(bench.jobs, workers=workers)


def drained_by(bench: Bench, peer: Peer, workers: int) -> float:
    """Its tables are analyzed as jobq's are."""
    peer.enqueue_many(bench.jobs)
    tables = bench.rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname = %s",
        peer.schema,
    )
    bench.connection.execute(f"ANALYZE {', '.join(table for (table,) in tables)}".encode())
    return peer.drain(bench.jobs, workers)


def drain(bench: Bench, peers: list[Peer]) -> None:
    """No-op jobs, history kept, from the first start to the last end."""
    bench.compare(
        "drain",
        "jobs/s",
        {
            "a bare table of 5 columns, in a loop": partial(limits.bare_table, bench, bench.jobs),
            "jobq's own statements, in a loop": partial(limits.own_statements, bench, fill, bench.jobs),
            "jobq, 1 worker": partial(drained, bench),
            "jobq, 2 workers": partial(drained, bench, workers=2),
            "jobq, 4 workers": partial(drained, bench, workers=4),
            **{
                f"{name}, {workers} worker{'s' if workers > 1 else ''}": contestant
                for workers in (1, 2)
                for name, contestant in peer_contestants(
                    peers,
                    lambda peer, workers=workers: drained_by(bench, peer, workers),  # type: ignore[misc]
                ).items()
            },
        },
    )
    bench.compare(
        "drain, 200-byte arguments",
        "jobs/s",
        {
            "jobq's own statements, in a loop": partial(
                limits.own_statements, bench, partial(fill, text=TEXT), bench.jobs
            ),
            "jobq, 1 worker": partial(drained, bench, text=TEXT),
        },
    )


def latency(bench: Bench, peers: list[Peer]) -> None:
    """From the return of run_in_worker(), so after the commit, to run() in a child of an idle worker."""
    from jobs import Clock

    number = max(10, min(LATENCIES, bench.jobs // 10))
    waits: dict[str, list[list[float]]] = {"jobq": [], **{peer.name: [] for peer in peers}}
    for _ in range(bench.rounds):
        bench.begin()
        committed = {}
        with bench.workers():
            for place in range(number):
                time.sleep(0.02 + 0.0001 * place)
                record = Clock().run_in_worker()
                committed[record.id] = time.monotonic()
            bench.wait_until(f"SELECT count(*) = {number} FROM {{schema}}.results")
        began = dict(bench.rows("SELECT id, value::float8 FROM {schema}.results"))
        if began.keys() != committed.keys():
            raise LostOrDoubled(f"{len(committed)} jobs were enqueued, {len(began)} ran: no figure")
        waits["jobq"].append(sorted((began[job] - at) * 1000 for job, at in committed.items()))
        for peer in peers:
            try:
                peer.begin()
                waits[peer.name].append(sorted(peer.latency(number)))
            except PeerFailed as error:
                bench.left_out.append(f"commit to run(), {peer.name}: {error}")
    for words, share in (("p50", 0.5), ("p99", 0.99)):
        for name, rounds in waits.items():
            if not rounds:
                continue
            figures = [each[min(len(each) - 1, int(len(each) * share))] for each in rounds]
            bench.note(f"commit to run(), {words}", name, "ms", *figures)


# What a worker costs


IDLE_LOOKS = 3


def idle(bench: Bench, _peers: list[Peer]) -> None:
    """A worker with nothing to do, after it has settled: the least of several looks, since whatever else the server
    does meanwhile (autovacuum, above all) only adds to what is seen."""
    seconds = max(1.0, 30 * bench.scale)
    bench.begin()
    with bench.workers() as (worker,):
        time.sleep(min(8.0, seconds))
        looks = []
        for _ in range(IDLE_LOOKS):
            before = *counts(bench), cpu_seconds(worker.pid), time.monotonic()
            time.sleep(seconds)
            after = *counts(bench), cpu_seconds(worker.pid), time.monotonic()
            *used, passed = (there - here for here, there in zip(before, after, strict=True))
            looks.append([each / passed for each in used])
        statements, wal, cpu = map(min, zip(*looks, strict=True))
        bench.note("idle worker", "statements", "/s", statements)
        bench.note("idle worker", "WAL", "bytes/s", wal)
        bench.note("idle worker", "CPU of supervisor and children", "% of a core", 100 * cpu)
        bench.note("idle worker", "memory of the supervisor", "MB", memory_megabytes(worker.pid))


def counts(bench: Bench) -> tuple[float, float]:
    """Transactions of workers so far, those of this look left out; and bytes of WAL."""
    bench.connection.execute(b"SELECT pg_stat_clear_snapshot()")
    ((transactions, wal),) = bench.rows(
        "SELECT xact_commit + xact_rollback, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 "
        "FROM pg_stat_database WHERE datname = current_database()"
    )
    return float(transactions) - 2, float(wal)


def work(bench: Bench, _peers: list[Peer]) -> None:
    """The share of the children's time that is spent in jobs which take a while."""
    from jobs import Sleep

    from jobq import enqueue_many

    for seconds, words in ((0.001, "1 ms"), (0.01, "10 ms"), (1.0, "1 s")):
        number = max(2 * bench.processes, int(8 * bench.scale * bench.processes / seconds))
        shares = []
        for _ in range(bench.rounds if seconds < 1 else 1):
            bench.begin()
            enqueue_many([Sleep(seconds) for _ in range(number)])
            bench.drain(number)
            shares.append(
                100
                * bench.value(
                    "SELECT sum(extract(epoch FROM ended_at - started_at))::float8 "
                    "/ extract(epoch FROM max(ended_at) - min(started_at))::float8 FROM {schema}.results"
                )
                / bench.processes
            )
        bench.note("time spent in jobs", f"of {words}", "%", *shares)


def start(bench: Bench, _peers: list[Peer]) -> None:
    """What it takes to begin."""

    def took(*arguments: str) -> float:
        times = []
        for _ in range(max(1, round(15 * bench.scale))):
            began = time.monotonic()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            times.append((time.monotonic() - began) * 1000)
        return median(times)

    for _ in range(bench.rounds):
        took("-c", "pass")  # the files come from the disk once
    bench.compare(
        "start",
        "ms",
        {
            "a bare interpreter": partial(took, "-c", "pass"),
            "import jobq": partial(took, "-c", "import jobq"),
            "jobq --help": partial(took, "-m", "jobq", "--help"),
        },
    )


# What grows


def growth(bench: Bench, _peers: list[Peer]) -> None:
    """The same drain with much beside it."""
    many = max(1000, int(1_000_000 * bench.scale))
    few = max(100, many // 100)

    def backlog(pending: int, jobs: int) -> float:
        """The rate over the first `jobs` of so many that are pending."""
        bench.begin()
        fill_by_sql(bench, pending)
        return first_of(bench, jobs)

    measured = max(100, min(bench.jobs, many // 10))
    bench.compare(
        "backlog",
        "jobs/s",
        {
            "short": partial(backlog, measured, measured),
            "long": partial(backlog, many, measured),
        },
        note=f"{measured:,} jobs of {measured:,} and of {many:,} pending",
    )

    def beside_scheduled(scheduled: int) -> float:
        bench.begin()
        fill_by_sql(bench, scheduled, state="scheduled", priority=100)
        fill_by_sql(bench, measured)
        return bench.drain(measured)

    bench.compare(
        "scheduled for later, at a higher priority",
        "jobs/s",
        {"none": partial(beside_scheduled, 0), "many": partial(beside_scheduled, many)},
        note=f"{measured:,} jobs beside {many:,}",
    )

    def beside_history(results: int) -> float:
        bench.begin()
        fill_history(bench, results)
        fill_by_sql(bench, measured)
        return bench.drain(measured)

    bench.compare(
        "history",
        "jobs/s",
        {"none": partial(beside_history, 0), "long": partial(beside_history, 10 * many)},
        rounds=1,
        note=f"{measured:,} jobs beside {10 * many:,} results",
    )
    snapshot(bench, many, few)


def fill_by_sql(bench: Bench, number: int, *, state: str = "pending", priority: int = 0) -> None:
    """The rows that enqueueing would make; millions of them in seconds."""
    due = "statement_timestamp()" if state == "pending" else "statement_timestamp() + interval '7 days'"
    is_due = state == "pending"
    bench.connection.execute(
        f"INSERT INTO {SCHEMA}.jobs (job_class, arguments, is_due, priority, run_at) "
        f"SELECT 'jobs.Nothing', '{{}}', {is_due}, {priority}, {due} FROM generate_series(1, {number})".encode()
    )
    bench.connection.execute(f"VACUUM ANALYZE {SCHEMA}.jobs".encode())


def fill_history(bench: Bench, number: int) -> None:
    for start in range(0, number, 1_000_000):
        bench.connection.execute(
            f"INSERT INTO {SCHEMA}.results (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, "
            "retries, priority, retried, outcome, queue, job_class, arguments) "
            f"SELECT nextval('{SCHEMA}.jobs_id_seq'), 1, at, at, at, at, 1, "
            "0, 0, false, 'successful', 'default', 'jobs.Nothing', '{}' "
            f"FROM generate_series(1, {min(1_000_000, number - start)}) AS number, "
            "LATERAL (SELECT now() - number * interval '60 milliseconds' AS at) AS moment".encode()
        )
    bench.connection.execute(f"VACUUM ANALYZE {SCHEMA}.results".encode())
    bench.connection.execute(b"CHECKPOINT")


def first_of(bench: Bench, jobs: int) -> float:
    """The rate over the first so many ends of what is pending; the rest is left."""
    bench.connection.execute(f"INSERT INTO {SCHEMA}.queues (name, paused_at) VALUES ('default', now())".encode())
    with bench.workers():
        operate.resume_queues(bench.database, ["default"])
        bench.wait_until(f"SELECT count(*) >= {jobs} FROM {{schema}}.results", within=600, every=0.1)
    ended, seconds = bench.rows(
        "SELECT count(*), extract(epoch FROM max(ended_at) - min(started_at))::float8 FROM "
        f"(SELECT ended_at, started_at FROM {{schema}}.results ORDER BY ended_at LIMIT {jobs}) AS first"
    )[0]
    if bench.value("SELECT count(*) <> count(DISTINCT id) FROM {schema}.results"):
        raise LostOrDoubled("a job ran twice: no figure")
    return float(ended / seconds)


def snapshot(bench: Bench, many: int, few: int) -> None:
    """A transaction stays open while many jobs pass: nothing that they leave behind can be vacuumed."""
    bench.begin()
    with psycopg.connect(bench.url) as holder:
        holder.execute("SELECT txid_current()")
        holder.execute(f"SELECT count(*) FROM {SCHEMA}.jobs".encode())
        fill_by_sql(bench, many)
        bench.drain(many)
        first, last = (
            bench.value(
                "SELECT (count(*) / extract(epoch FROM max(ended_at) - min(ended_at)))::float8 FROM "
                f"(SELECT ended_at FROM {{schema}}.results ORDER BY ended_at {order} LIMIT {many // 10}) AS part"
            )
            for order in ("", "DESC")
        )
        bench.note("a transaction held open", "first tenth", "jobs/s", first, note=f"of {many:,} jobs")
        bench.note("a transaction held open", "last tenth", "jobs/s", last, note=f"of {many:,} jobs")
        lone = max(5, few // 100)
        from jobs import Clock

        waits = []
        with bench.workers():
            for _ in range(lone):
                time.sleep(0.05)
                record = Clock().run_in_worker()
                committed = time.monotonic()
                bench.wait_until(f"SELECT count(*) = 1 FROM {{schema}}.results WHERE id = {record.id}", every=0.02)
                waits.append(
                    (bench.value(f"SELECT value::float8 FROM {{schema}}.results WHERE id = {record.id}") - committed)
                    * 1000
                )
        bench.note("a transaction held open", "commit to run() after it, p50", "ms", median(waits))
        holder.rollback()


MEASURES: dict[str, Callable[[Bench, list[Peer]], None]] = {
    "enqueue": enqueue,
    "bulk": bulk,
    "drain": drain,
    "latency": latency,
    "idle": idle,
    "work": work,
    "start": start,
    "growth": growth,
    "gates": gates,
}
