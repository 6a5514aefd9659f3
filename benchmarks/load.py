"""Fills a schema as a busy month would: `python -m benchmarks.load [--pending N] [--finished N] [--database-url URL]`.

A million pending jobs and ten million finished ones take some minutes. `python -m benchmarks.look` then times what
reads them.
"""

import argparse
import json
import time
from datetime import timedelta

import psycopg

from jobq.fingerprints import fingerprint
from jobq.histograms import BUCKETS, DIGITS
from jobq.settings import load
from jobq.store import history, metrics, migrations, workers
from jobq.store.database import Database
from jobq.store.statements import BOUNDS

SCHEMA = "jobq_benchmark"
DAYS = 30

CLASSES = {
    "mail.SendReceipt": "mail", "mail.SendReminder": "mail", "billing.SyncInvoice": "default", "billing.Vat": "default",
    "crm.Merge": "default", "search.Rebuild": "low", "search.Index": "low", "reports.Nightly": "reports",
    "reports.Export": "reports", "images.Resize": "images", "images.Scan": "images", "hooks.Deliver": "default",
}  # fmt: skip

FAILURES = [
    ("TimeoutError", "read timed out after 30s, attempt {}", "mail/smtp.py:41 send"),
    ("KeyError", "'vat_id'", "billing/vat.py:31 vat_rate"),
    ("ConnectionResetError", "[Errno 104] peer 10.0.0.{} reset", "hooks/http.py:88 deliver"),
    ("ValueError", "no image in file {}", "images/scan.py:12 scan"),
]

JOBS = """
    INSERT INTO {schema}.jobs (job_class, queue, arguments, priority, is_due, run_at, enqueued_at, source)
    SELECT
        classes.name, classes.queue, jsonb_build_object('customer', n %% 5000, 'invoice', n, 'country', 'CH'), n %% 3,
        %(is_due)s, now() + %(ahead)s * n * interval '1 second', now() - n * interval '3 ms', '/srv/app/api.py:52'
    FROM generate_series(1, %(jobs)s) AS n
    JOIN classes ON classes.number = n %% (SELECT count(*) FROM classes)
    ORDER BY n
"""

RESULTS = """
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried, outcome, queue,
         job_class, arguments, source, error_type, error_message, traceback, fingerprint, frame)
    SELECT
        %(first)s + n, 1, started_at + run * interval '1 second', started_at, started_at - wait * interval '1 second',
        started_at - wait * interval '1 second', 1 + n %% 8, 3, 0, kind.outcome = 'errored' AND n %% 7 = 0,
        kind.outcome, classes.queue, classes.name,
        jsonb_build_object('customer', n %% 5000, 'invoice', n, 'country', 'CH'), '/srv/app/billing/api.py:52',
        failures.error_type, replace(failures.message, '{{}}', (n %% 1000)::text),
        CASE WHEN failures.number IS NOT NULL
            THEN repeat(E'  File "/srv/app/x.py", line 31, in run\\n    do()\\n', 12)
        END,
        failures.fingerprint, failures.frame
    FROM generate_series(1, %(jobs)s) AS n
    JOIN classes ON classes.number = n %% (SELECT count(*) FROM classes)
    CROSS JOIN LATERAL (
        SELECT
            %(day)s::timestamptz + n * %(seconds)s / %(jobs)s * interval '1 second' AS started_at,
            -ln(1 - random()) * (1 + n %% 9) * 0.2 AS run, -ln(1 - random()) * 3 AS wait, random() AS luck
    ) AS drawn
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN luck < 0.94 THEN 'successful' WHEN luck < 0.985 THEN 'errored' WHEN luck < 0.99 THEN 'cancelled'
            WHEN luck < 0.995 THEN 'deferred' ELSE 'lost'
        END AS outcome
    ) AS kind
    LEFT JOIN failures
        ON kind.outcome = 'errored' AND failures.job_class = classes.name AND failures.number = n / 12 %% 4
"""

METRICS = """
    INSERT INTO {schema}.metrics
        (minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
         longest_wait, longest_run)
    SELECT
        minute, queue, job_class, count(*) FILTER (WHERE outcome = 'successful'),
        count(*) FILTER (WHERE outcome = 'errored'), count(*) FILTER (WHERE outcome = 'cancelled'),
        count(*) FILTER (WHERE outcome = 'deferred'), count(*) FILTER (WHERE outcome = 'lost'),
        count(*) FILTER (WHERE retried), {waits}, {runs}, max(waited), max(ran)
    FROM (
        SELECT
            date_bin('1 minute', ended_at, to_timestamp(0)) AS minute, queue, job_class, outcome, retried,
            waited, width_bucket(waited, {bounds}) AS wait_bucket, ran, width_bucket(ran, {bounds}) AS run_bucket
        FROM {schema}.results
        CROSS JOIN LATERAL (
            SELECT date_part('epoch', started_at - run_at) AS waited, date_part('epoch', ended_at - started_at) AS ran
        ) AS took
        WHERE ended_at >= %(day)s AND ended_at < %(day)s + interval '1 day'
    ) AS ended
    GROUP BY minute, queue, job_class
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--finished", type=int, default=10_000_000)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    database = Database(load(database_url=chosen.database_url, schema=SCHEMA))
    with database.connect("load") as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        migrations.migrate(database)
        connection.execute("SET synchronous_commit = off; SET timezone = 'UTC'")
        Loader(connection).load(chosen.pending, chosen.finished)


class Loader:
    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self.connection = connection
        self.began = time.monotonic()

    def load(self, pending: int, finished: int) -> None:
        self.name_what_there_is()
        self.workers()
        self.jobs(pending)
        self.results(finished)
        self.levels()
        self.run("UPDATE {schema}.workers SET heartbeat_at = now() + interval '1 hour'")
        self.connection.execute(f"SELECT setval('{SCHEMA}.jobs_id_seq', {100_000_000 + finished})".encode())
        self.say("analysing")
        self.connection.execute("VACUUM ANALYZE")
        self.say("done")

    def name_what_there_is(self) -> None:
        classes = [(number, name, queue) for number, (name, queue) in enumerate(CLASSES.items())]
        failures = [
            (number, name, error_type, message, frame, fingerprint(name, error_type, frame, message.format(1)))
            for name in CLASSES
            for number, (error_type, message, frame) in enumerate(FAILURES)
        ]
        self.connection.execute("CREATE TEMP TABLE classes (number integer, name text, queue text)")
        self.connection.execute(
            "CREATE TEMP TABLE failures (number integer, job_class text, error_type text, message text, frame text, "
            "fingerprint text)"
        )
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO classes VALUES (%s, %s, %s)", classes)
            cursor.executemany("INSERT INTO failures VALUES (%s, %s, %s, %s, %s, %s)", failures)

    def workers(self) -> None:
        """Eight of them; one class is known to none, and one queue is worked by none."""
        known = [
            {"name": name, "aliases": [], "parameters": [], "summary": None} for name in CLASSES if name != "crm.Merge"
        ]
        self.run(
            "INSERT INTO {schema}.workers (host, pid, version, processes, queues, classes) "
            "SELECT 'web-' || n, 7000 + n, '0.1.0', 8, '{{mail,default,low,reports}}', %(known)s "
            "FROM generate_series(1, 8) AS n",
            known=json.dumps(known),
        )

    def jobs(self, pending: int) -> None:
        self.run(JOBS, jobs=pending, is_due=True, ahead=0)
        self.run(JOBS, jobs=pending // 50, is_due=False, ahead=1)
        self.run(
            "UPDATE {schema}.jobs SET attempt = 1, worker_id = 1 + id %% 8, started_at = now() "
            "WHERE id IN (SELECT id FROM {schema}.jobs WHERE is_due ORDER BY queue, -priority, id LIMIT 50)"
        )
        workers.note_claims(self.connection, SCHEMA)
        self.say(f"{pending:,} pending jobs")

    def results(self, finished: int) -> None:
        today = history.today(self.connection)
        share = finished // DAYS
        for back in reversed(range(DAYS)):
            day = today - timedelta(days=back)
            history.make_partition(self.connection, SCHEMA, day)
            (seconds,) = self.connection.execute(
                "SELECT least(86400, extract(epoch FROM now() - %s::timestamptz))::float8 - 60", [day]
            ).fetchone() or (86400.0,)
            self.run(RESULTS, first=100_000_000 + back * share, day=day, jobs=share, seconds=seconds)
            self.run(METRICS, day=day)
            self.say(f"{share:,} results of {day}")
        while metrics.fold(self.connection, SCHEMA):
            pass

    def levels(self) -> None:
        self.run(
            "INSERT INTO {schema}.levels (minute, queue, taken_at, unfinished) "
            "SELECT at, queue, at + interval '7 s', 1000 + 500 * sin(n / 300.0) "
            "FROM (SELECT DISTINCT queue FROM classes) AS named CROSS JOIN generate_series(1, %(minutes)s) AS n "
            "CROSS JOIN LATERAL (SELECT date_trunc('minute', now()) - n * interval '1 minute' AS at) AS minute",
            minutes=DAYS * 1440,
        )

    def run(self, statement: str, **parameters: object) -> None:
        units = "'{" + ",".join(str(10 ** (DIGITS * bucket)) for bucket in range(BUCKETS)) + "}'::numeric[]"
        histograms = {
            name: f"coalesce(sum(({units})[{column} + 1]), 0)"
            for name, column in (("waits", "wait_bucket"), ("runs", "run_bucket"))
        }
        self.connection.execute(statement.format(schema=SCHEMA, bounds=BOUNDS, **histograms).encode(), parameters)

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
