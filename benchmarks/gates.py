"""The measure of gates: how much goes through one, and how soon a freed place is used."""

import itertools
import time
from collections.abc import Callable
from statistics import median

from benchmarks.bench import SCHEMA, Bench
from benchmarks.peers import LostOrDoubled, Peer

LANES = 10_000
BIG_LANE, SMALL_LANES, OF_EACH = 100_000, 99, 10


def gates(bench: Bench, peers: list[Peer]) -> None:
    """Throughput of a limit and of many lanes, the overlap that the history shows, latencies, busy places, turns."""
    bench.compare(
        "gates",
        "jobs/s",
        {
            "one gate of limit 50, two workers": through(bench, "Fifty", lambda number: ("",), limit=50),
            f"{LANES:,} lanes of limit 1, two workers": through(bench, "Lanes", lambda number: (str(number % LANES),)),
        },
    )
    for name, workers in (("the same worker", 1), ("a sleeping worker", 2)):
        if found := freed_to_begun(bench, workers):
            bench.note("gates: a place freed, the next begins", name, "ms (p50)", *found)
    bench.note("gates: limit equal to the fleet's slots", "places busy", "%", busy_places(bench))
    bench.note("gates: turns", "starts of the big lane before 990 of small ones", "starts", turns(bench))


def enqueue(name: str, arguments: list[tuple[str, float]]) -> None:
    import jobs as application  # written at run time

    from jobq import enqueue_many

    enqueue_many([getattr(application, name)(lane, seconds) for lane, seconds in arguments])


def through(
    bench: Bench, name: str, lane: Callable[[int], tuple[str]], limit: int | None = None
) -> Callable[[], float]:
    """A drain of no-op jobs by two workers. Raises LostOrDoubled where more ran at once than may."""

    def run() -> float:
        bench.begin()
        number = max(1000, bench.jobs // 4)
        enqueue(name, [(*lane(place), 0.0) for place in range(number)])
        rate = bench.drain(number, workers=2)
        if limit is not None and (overlap := largest_overlap(bench)) > limit:
            raise LostOrDoubled(f"{overlap} ran at once at a gate of limit {limit}")
        return rate

    return run


def largest_overlap(bench: Bench) -> int:
    """How many attempts ran at once at most, by the times in the history."""
    return int(
        bench.value(
            "SELECT max(running) FROM ("
            "  SELECT sum(step) OVER (ORDER BY at, step) AS running FROM ("
            "    SELECT started_at AS at, 1 AS step FROM {schema}.results"
            "    UNION ALL SELECT ended_at, -1 FROM {schema}.results"
            "  ) AS event"
            ") AS counted"
        )
    )


def freed_to_begun(bench: Bench, workers: int) -> list[float]:
    """From an end to the next begin at a gate of limit 1, in milliseconds: the median of each round."""
    medians = []
    for _ in range(bench.rounds):
        bench.begin()
        enqueue("One", [("", 0.06)] * 60)
        processes = bench.processes if workers == 1 else 1
        with bench.workers(workers, processes):
            bench.wait_until("SELECT count(*) = 60 FROM {schema}.results", within=120)
        rows = bench.rows("SELECT started_at, ended_at, worker_id FROM {schema}.results ORDER BY started_at")
        gaps = [
            (begun - ended).total_seconds() * 1000
            for (_, ended, before), (begun, _, after) in itertools.pairwise(rows)
            if (before == after) == (workers == 1)
        ]
        if gaps:
            medians.append(median(gaps))
    return medians


def busy_places(bench: Bench) -> float:
    """Four workers of ten processes, a limit of forty, jobs of five seconds: the share of the places that was busy.

    In a very short run each worker has one process.
    """
    bench.begin()
    seconds, processes = max(0.5, 5.0 * bench.scale), 10 if bench.scale >= 0.01 else 1
    with bench.workers(4, processes):
        enqueue("Forty", [("", seconds)] * 20 * processes)
        done = f"SELECT count(*) = {20 * processes} FROM {{schema}}.results"
        bench.wait_until(done, within=60 + 10 * seconds)
    (row,) = bench.rows(
        "SELECT extract(epoch FROM sum(ended_at - started_at))::float8, "
        "extract(epoch FROM max(ended_at) - min(started_at))::float8 FROM {schema}.results"
    )
    return 100 * row[0] / (4 * processes * row[1])


def turns(bench: Bench) -> float:
    """How many jobs of a lane with very many began before all those of lanes with few had."""
    bench.begin()
    enqueue("Turns", [("big", 0.0)] * max(3000, int(BIG_LANE * bench.scale)))
    enqueue("Turns", [(f"small-{lane}", 0.0) for lane in range(SMALL_LANES)] * OF_EACH)
    with bench.workers(1):
        bench.wait_until("SELECT count(*) = 990 FROM {schema}.results WHERE lane <> 'big'", within=300)
        time.sleep(0.1)
    return float(
        bench.value(
            f"SELECT count(*) FROM {SCHEMA}.results WHERE lane = 'big' AND started_at < "
            f"(SELECT max(started_at) FROM {SCHEMA}.results WHERE lane <> 'big')"
        )
    )
