"""Two claims through one gate and what frees a place: every order of their steps, on connections of their own."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import psycopg
import pytest

from conftest import JOB_CLASS, Store
from jobq.states import Outcome
from jobq.store.claiming import LanePosition, claim_through

LIMIT = 1


@pytest.fixture
def others(store: Store) -> "Iterator[list[Store]]":
    with store.another() as first, store.another() as second:
        yield [first, second]


class SteppedClaim:
    """A claim whose statements are carried out one by one."""

    def __init__(self, store: Store, worker: int) -> None:
        self.connection, self.passed = store.connection, None
        self.steps: Any = claim_through(
            "jobq", "g", worker_id=worker, positions=[LanePosition("default")], classes=[JOB_CLASS], most=9
        )

    def begin(self) -> None:
        self.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")

    def lock(self) -> None:
        self._carry_out(next(self.steps))

    def claim(self) -> None:
        if self.steps is not None:
            self._carry_out(self.statement)

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def _carry_out(self, statement: Any) -> None:
        rows = self.connection.execute(*statement).fetchall()
        try:
            self.statement = self.steps.send(rows)
        except StopIteration as end:
            self.steps, self.passed = None, end.value


def orders(*lengths: int) -> list[tuple[int, ...]]:
    """Every order in which so many steps each of several actors may follow each other."""
    return sorted(set(permutations([actor for actor, length in enumerate(lengths) for _ in range(length)])))


@pytest.mark.parametrize("ending", ["end", "rescue", "retry"])
def test_one_of_two_claims_gets_the_place_that_is_freed_beside_them_in_whatever_order(
    ending: str, store: Any, others: list[Store], report: Any
) -> None:
    """A place is taken. Two claims of three steps, and the statement that frees the place: 105 orders."""
    store.gate(max_running=LIMIT)
    used = []
    for order in orders(3, 3, 1):
        store.execute("DELETE FROM jobq.jobs")
        holder, workers = store.worker(pid=9), [store.worker(pid=1), store.worker(pid=2)]
        store.add_many(*[{"gate": "g", "lane": "a", "retries": 5}] * 3)
        (held,) = store.claim_through(holder, most=1).assignments
        claims = [SteppedClaim(other, worker) for other, worker in zip(others, workers, strict=True)]
        for claim in claims:
            claim.begin()
        steps = [iter((claim.lock, claim.claim, claim.commit)) for claim in claims]

        def free(holder: int = holder, held: Any = held) -> None:
            if ending == "end":
                store.finish(holder, report(held, Outcome.SUCCESSFUL))
            elif ending == "retry":
                store.retry(holder, report(held, Outcome.ERRORED, retry_delay=0.0))
            else:
                store.declare_dead(holder, held)
                store.rescue()

        for actor in order:
            if actor == 2:
                free()
            else:
                next(steps[actor])()
            ((running,),) = store.connection.execute(
                "SELECT count(*) FROM jobq.jobs WHERE worker_id IS NOT NULL"
            ).fetchall()
            assert running <= LIMIT, order
        used.append(running)
    assert 1 in used, "the place was used in some orders"


def test_a_job_of_a_higher_priority_that_comes_between_the_steps_takes_no_second_place(
    store: Any, others: list[Store]
) -> None:
    store.gate(max_running=1)
    store.add(gate="g", lane="a")
    claims = [SteppedClaim(other, store.worker(pid=place)) for place, other in enumerate(others)]
    for claim in claims:
        claim.begin()
    claims[0].lock()
    store.add(gate="g", lane="a", priority=9)
    claims[1].lock()
    claims[0].claim()
    claims[0].commit()
    claims[1].commit()
    assert claims[1].passed is None, "the gate was taken"
    ((running,),) = store.connection.execute("SELECT count(*) FROM jobq.jobs WHERE worker_id IS NOT NULL").fetchall()
    assert running == 1


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_a_role_with_another_isolation_by_default_gets_no_second_place(
    isolation: str, store: Any, others: list[Store], connection: psycopg.Connection[Any]
) -> None:
    """As behind a pooler, where the session keeps the role's settings."""
    store.gate(max_running=1)
    store.add_many(*[{"gate": "g", "lane": "a"}] * 2)
    claims = [SteppedClaim(other, store.worker(pid=place)) for place, other in enumerate(others)]
    for other, claim in zip(others, claims, strict=True):
        other.execute(f"SET default_transaction_isolation = '{isolation}'")
        claim.begin()
        other.execute("SELECT 1")  # a snapshot of the whole transaction would be taken here
    for claim in claims:
        claim.lock()
        claim.claim()
        claim.commit()
    ((running,),) = connection.execute("SELECT count(*) FROM jobq.jobs WHERE worker_id IS NOT NULL").fetchall()
    assert running == 1
