"""Gates under everything at once: claims whose transactions stay open, ends, retries, rescues, limits that change.

    python -m tests.faults.gates --steps 10000 --seed 1

Several workers, each with a connection of its own, take random steps one after the other. A claim is several steps: it
locks the gate; it claims, while others go on; it commits, or is rolled back. After each step a look from outside counts
what runs: where more run than before, in the gate or in a lane, they are no more than its limit is now. Every attempt
that runs has a place, and nothing else has one. Each report of an attempt that was rescued is refused.
"""

import argparse
import random
from collections import Counter
from contextlib import ExitStack
from typing import Any

from jobq.records import Assignment
from jobq.settings import Settings
from jobq.store.claiming import LanePosition, Passed, claim_through
from tests.conftest import Store, report_on
from tests.faults.servers import migrated

LANES = "abcdef"
WORKERS = 4


class Claim:
    """A claim through the gate that is under way in an open transaction."""

    def __init__(self, store: Any, worker: int, most: int) -> None:
        self.store, self.worker = store, worker
        store.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        self.passed: Passed | None = None
        self.steps = claim_through(
            store.schema, "g", worker_id=worker, positions=[LanePosition("default"), LanePosition("mail")],
            classes=["shop.jobs.Work"], most=most,
        )  # fmt: skip
        self.statement: Any = next(self.steps)
        self.is_over = False

    def step(self) -> None:
        """Carries out the next statement."""
        text, parameters = self.statement
        rows = self.store.connection.execute(text, parameters).fetchall()
        try:
            self.statement = self.steps.send(rows)
        except StopIteration as end:
            self.passed, self.is_over = end.value, True


class Machine:
    """Random steps on one gate."""

    def __init__(self, stores: list[Any], seed: int, report: Any) -> None:
        self.outside, *self.stores = stores
        self.report = report
        self.random = random.Random(seed)
        self.limit, self.lane_limit = 3, 1
        self.outside.gate(max_running=self.limit, lane_max_running=self.lane_limit)
        self.workers = [self.outside.worker(pid=number) for number in range(len(self.stores))]
        self.claims: dict[int, Claim] = {}
        self.held: dict[int, list[Assignment]] = {number: [] for number in range(len(self.stores))}
        self.dead: list[tuple[int, Assignment]] = []
        self.counts: Counter[str] = Counter()
        self.fullest = 0

    def step(self) -> None:
        name = self.random.choice(
            [*["add", "claim", "go_on", "end"] * 3, *["go_on"] * 4, "end", "retry", "give_back", "rescue",
             "late_report",
             "set_limit", "pause", "cancel", "promote"]
        )  # fmt: skip
        before = self.running()
        getattr(self, name)()
        self.check(name, before)

    def check(self, name: str, before: Counter[str]) -> None:
        now = self.running()
        self.fullest = max(self.fullest, now.total())
        if now.total() > before.total():
            assert now.total() <= self.limit, f"after {name}: {now.total()} run, {self.limit} may"
        for lane in now:
            if now[lane] > before[lane]:
                assert now[lane] <= self.lane_limit, f"after {name}: {now[lane]} run in {lane}, {self.lane_limit} may"
        (row,) = self.outside.rows(
            "SELECT count(*) AS n FROM jobq.jobs WHERE (place IS NOT NULL) <> (worker_id IS NOT NULL)"
        )
        assert row.n == 0, f"after {name}: a place without an attempt, or an attempt without a place"

    def running(self) -> Counter[str]:
        rows = self.outside.rows("SELECT lane, count(*) AS n FROM jobq.jobs WHERE worker_id IS NOT NULL GROUP BY lane")
        return Counter({row.lane: row.n for row in rows})

    # Steps

    def add(self) -> None:
        lane, queue = self.random.choice(LANES), self.random.choice(["default", "mail"])
        self.outside.add(gate="g", lane=lane, queue=queue, priority=self.random.choice([0, 0, 5]), retries=9)

    def claim(self) -> None:
        idle = [number for number in self.held if number not in self.claims]
        if len(self.claims) < 2:
            number = self.random.choice(idle)
            self.claims[number] = Claim(self.stores[number], self.workers[number], self.random.randint(1, 4))

    def go_on(self) -> None:
        if not self.claims:
            return
        number = self.random.choice(list(self.claims))
        claim = self.claims[number]
        if not claim.is_over:
            claim.step()
            return
        del self.claims[number]
        if self.random.random() < 0.1:
            self.stores[number].connection.execute("ROLLBACK")
            return
        self.stores[number].connection.execute("COMMIT")
        claimed = [] if claim.passed is None else claim.passed.assignments
        self.counts["taken" if claim.passed is None else "claimed"] += max(1, len(claimed))
        self.held[number] += claimed

    def of_somebody(self) -> tuple[int, Assignment] | None:
        holders = [number for number, held in self.held.items() if held]
        if not holders:
            return None
        number = self.random.choice(holders)
        return number, self.held[number].pop(self.random.randrange(len(self.held[number])))

    def end(self) -> None:
        if found := self.of_somebody():
            number, assignment = found
            assert self.outside.finish(self.workers[number], self.report(assignment)) == 1
            self.counts["ended"] += 1

    def retry(self) -> None:
        if found := self.of_somebody():
            number, assignment = found
            delay = self.random.choice([0.0, 0.0, 60.0])
            assert self.outside.retry(self.workers[number], self.report(assignment, "errored", retry_delay=delay)) == 1

    def give_back(self) -> None:
        if found := self.of_somebody():
            self.outside.give_back(self.workers[found[0]], found[1])

    def rescue(self) -> None:
        """A worker is declared dead, and begins anew; what it holds is rescued, but for a claim that is under way."""
        number = self.random.randrange(len(self.workers))
        if number in self.claims or self.random.random() < 0.5:
            return
        self.outside.execute("UPDATE jobq.workers SET stopped_at = now() WHERE id = %s", self.workers[number])
        self.dead += [(self.workers[number], assignment) for assignment in self.held[number]]
        self.held[number] = []
        self.workers[number] = self.outside.worker(pid=number)
        self.counts["rescued"] += len(self.outside.rescue(max_losses=1000))

    def late_report(self) -> None:
        if self.dead:
            worker, assignment = self.dead.pop()
            assert self.outside.finish(worker, self.report(assignment)) == 0
            self.counts["refused"] += 1

    def set_limit(self) -> None:
        """Waits for no claim: an operator would, so the row has to be free."""
        if not self.claims and self.random.random() < 0.3:
            self.limit, self.lane_limit = self.random.randint(1, 6), self.random.randint(1, 3)
            self.outside.execute(
                "UPDATE jobq.gates SET set_max_running = %s, lane_max_running = %s", self.limit, self.lane_limit
            )

    def pause(self) -> None:
        if not self.claims:
            is_paused = self.random.random() < 0.2
            self.outside.execute("UPDATE jobq.gates SET paused_at = CASE WHEN %s THEN now() END", is_paused)

    def cancel(self) -> None:
        rows = self.outside.rows(
            "SELECT id FROM jobq.jobs WHERE state = 'gated' ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED"
        )
        for row in rows:
            self.outside.cancel(row.id)

    def promote(self) -> None:
        self.outside.execute("UPDATE jobq.jobs SET run_at = now() WHERE state = 'scheduled'")
        self.outside.promote()


def run(settings: Settings, steps: int, seed: int) -> Machine:
    with ExitStack() as stack:
        stores = [stack.enter_context(Store.on(settings)) for _ in range(1 + WORKERS)]
        machine = Machine(stores, seed, report_on)
        for _ in range(steps):
            machine.step()
        for number in machine.claims:
            machine.stores[number].connection.execute("ROLLBACK")
    return machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with migrated() as database:
        machine = run(database.settings, chosen.steps, chosen.seed)
    print(f"{chosen.steps:,} steps, at most {machine.fullest} at once: {dict(machine.counts)}")


if __name__ == "__main__":
    main()
