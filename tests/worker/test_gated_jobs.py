"""Workers at gates: real processes, which write into a table of their own when they run."""

from collections.abc import Callable
from typing import Any

import psycopg

CODE = """
import time, psycopg
from jobq import Gate, Job, register_job

class Noted(Job):
    def __init__(self, lane: str = "a", seconds: float = 0.02):
        self.lane, self.seconds = lane, seconds

    def run(self):
        with psycopg.connect(DATABASE_URL, autocommit=True) as connection:
            (began,) = connection.execute("INSERT INTO ledger (lane, began) VALUES (%s, clock_timestamp()) RETURNING id", [self.lane]).fetchone()
            time.sleep(self.seconds)
            connection.execute("UPDATE ledger SET ended = clock_timestamp() WHERE id = %s", [began])

@register_job
class Limited(Noted):
    gate = Gate("limited", limit=3, by="lane", lane_limit=2)

@register_job
class InOrder(Noted):
    gate = Gate("in order", by="lane", order="strict")

@register_job
class Free(Noted):
    pass
"""  # noqa: E501 - code of a user's

OVERLAP = """
    SELECT max(running) FROM (
        SELECT sum(step) OVER (ORDER BY at, step) AS running
        FROM (
            SELECT began AS at, 1 AS step FROM ledger WHERE ended IS NOT NULL AND lane ~ %s
            UNION ALL SELECT ended, -1 FROM ledger WHERE ended IS NOT NULL AND lane ~ %s
        ) AS event
    ) AS counted
"""


def begin(application: Any, connection: psycopg.Connection[Any], database_url: str) -> None:
    application.write("jobs.py", CODE.replace("DATABASE_URL", repr(database_url)))
    connection.execute(
        "CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY, lane text, began timestamptz, ended timestamptz)"
    )


def overlap(connection: psycopg.Connection[Any], lane: str) -> int:
    """How many ran at once at most, by what the jobs wrote; without those that were killed, whose ends nobody knows."""
    ((most,),) = connection.execute(OVERLAP, [lane, lane]).fetchall()
    return int(most)


def enqueue(application: Any, code: str) -> None:
    assert application.python("-c", f"import jobs, jobq; jobq.enqueue_many({code})").returncode == 0


def ended(connection: psycopg.Connection[Any], gate: str) -> int:
    query = "SELECT count(DISTINCT id) FROM jobq.results WHERE gate = %s AND outcome = 'successful'"
    ((jobs,),) = connection.execute(query, [gate]).fetchall()
    return int(jobs)


def test_workers_never_run_more_than_a_gate_and_its_lanes_allow(
    application: Any, connection: psycopg.Connection[Any], database_url: str, eventually: Callable[..., Any]
) -> None:
    begin(application, connection, database_url)
    enqueue(application, "[jobs.Limited('ab'[n % 2]) for n in range(40)] + [jobs.Free('free') for n in range(20)]")
    with application.start("run", "--max-processes", "3"), application.start("run", "--max-processes", "3"):
        eventually(lambda: ended(connection, "limited") == 40)
        eventually(lambda: connection.execute("SELECT count(*) FROM jobq.jobs").fetchall() == [(0,)])
    assert (overlap(connection, "[ab]"), overlap(connection, "a"), overlap(connection, "b")) <= (3, 2, 2)
    assert overlap(connection, "[ab]") > 1


def test_places_of_a_killed_worker_are_free_once_its_jobs_are_rescued(
    application: Any, connection: psycopg.Connection[Any], database_url: str, eventually: Callable[..., Any]
) -> None:
    begin(application, connection, database_url)
    enqueue(application, "[jobs.Limited('ab'[n % 2], 0.05) for n in range(40)]")
    quick = {"JOBQ_HEARTBEAT_EVERY": "0.5", "JOBQ_HEARTBEAT_TIMEOUT": "2"}
    with application.start("run", "--max-processes", "3", environment=quick) as first:
        eventually(lambda: ended(connection, "limited") > 5)
        first.process.kill()
        with application.start("run", "--max-processes", "3", environment=quick):
            eventually(lambda: ended(connection, "limited") == 40)
    assert overlap(connection, "[ab]") <= 3


def test_jobs_of_a_strict_lane_begin_one_after_the_other_in_the_order_of_their_enqueueing(
    application: Any, connection: psycopg.Connection[Any], database_url: str, eventually: Callable[..., Any]
) -> None:
    begin(application, connection, database_url)
    enqueue(application, "[jobs.InOrder('ab'[n % 2], 0.01) for n in range(20)]")
    with application.start("run", "--max-processes", "2"), application.start("run", "--max-processes", "2"):
        eventually(lambda: ended(connection, "in order") == 20)
    assert overlap(connection, "a") == 1
    rows = connection.execute("SELECT id FROM jobq.results WHERE lane = 'a' ORDER BY started_at").fetchall()
    assert rows == sorted(rows)
