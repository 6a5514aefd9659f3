"""A short run of the fuzzer of rows; the whole one is `python -m tests.faults.rows`."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from faults.rows import JOBS, Fuzzer
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

QUICK = {"JOBQ_POLL_EVERY": "0.2", "JOBQ_STATS_EVERY": "0"}


def test_no_row_by_other_hands_stops_ordinary_jobs_or_breaks_a_look_or_an_act(
    application: "Application", store: "Store", database: Database, eventually: Callable[..., Any]
) -> None:
    application.write("jobs.py", JOBS)
    fuzzer = Fuzzer(database, store.connection, Random(1))
    with application.start("run", "-p", "2", environment=QUICK) as worker:
        for _ in range(2):
            rows = fuzzer.write(25)
            ordinary = fuzzer.ordinary()
            eventually(lambda ordinary=ordinary: fuzzer.have_ended(ordinary))
            fuzzer.look(rows[:10])
            fuzzer.act(rows)
    assert fuzzer.tally["written"] > 10
    for word in ("Traceback", "service failed", "child died"):
        assert word not in worker.stderr
