"""A rate under a clock that steps: `python -m tests.faults.rates --starts 100000` (a few hundred in the suite).

The statements read the time from a row, which jumps forth and, by less than a window, back. No window of the rate's
length, by that clock, may have more starts than the rate allows; and the rate is used.
"""

import argparse
import random
from dataclasses import dataclass

from jobq.settings import Settings
from jobq.store import statements
from tests.conftest import Store
from tests.faults.servers import migrated


@dataclass(frozen=True, slots=True)
class Outcome:
    starts: int
    fullest: int  # starts in the fullest window
    rate: int
    seconds: float  # that passed by the clock


def run(settings: Settings, starts: int, seed: int) -> Outcome:
    chosen = random.Random(seed)
    rate, seconds, burst = 20, 1.0, 5
    with Store.on(settings) as store:
        store.execute("CREATE TABLE jobq.test_now (at timestamptz)")
        store.execute("INSERT INTO jobq.test_now VALUES (now())")
        statements.read_time_from("(SELECT at FROM {schema}.test_now)")
        try:
            return start(store, chosen, starts, (rate, seconds, burst))
        finally:
            statements.read_time_from(None)


def start(store: Store, chosen: random.Random, starts: int, declared: tuple[int, float, int]) -> Outcome:
    rate, seconds, burst = declared
    store.gate(rate=rate, rate_seconds=seconds, rate_burst=burst)
    worker, times, passed_seconds = store.worker(), [], 0.0
    while len(times) < starts:
        store.add_many(*[{"gate": "g", "lane": "a"}] * 20)
        for _ in range(10):
            step = chosen.choice([0.001, 0.01, 0.05, 0.3, 2.0, -0.4, -0.05])
            passed_seconds += step
            store.execute("UPDATE jobq.test_now SET at = at + %s * interval '1 second'", step)
            claimed = len(store.claim_through(worker, most=chosen.randint(1, 20)).assignments)
            ((now,),) = store.connection.execute("SELECT extract(epoch FROM at)::float8 FROM jobq.test_now").fetchall()
            times += [now] * claimed
        store.execute("DELETE FROM jobq.jobs")
    return Outcome(len(times), fullest(sorted(times), seconds), rate, passed_seconds)


def fullest(times: list[float], seconds: float) -> int:
    """How many starts the fullest half-open window has."""
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - seconds + 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with migrated() as database:
        outcome = run(database.settings, chosen.starts, chosen.seed)
    print(outcome)
    assert outcome.fullest <= outcome.rate


if __name__ == "__main__":
    main()
