"""Claims: in what order, across which queues, by whom, and never twice."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobq.records import Assignment, ClassRecord
from jobq.store import claiming, jobs, workers
from jobq.store.callers.psycopg3 import carry_out
from jobq.store.claiming import QueuePosition


def ids(assignments: list[Assignment]) -> list[int]:
    return [assignment.id for assignment in assignments]


def test_higher_priority_is_served_first_and_then_first_come(store: Any) -> None:
    low, first, second, high = store.add_many({"priority": -1}, {}, {}, {"priority": 7})
    assert ids(store.claim(store.worker())) == [high, first, second, low]


def test_a_claim_takes_the_front_of_the_queue_and_no_more_than_there_is_room_for(store: Any) -> None:
    worker = store.worker()
    added = store.add_many(*({"priority": number % 3} for number in range(30)))
    expected = sorted(added, key=lambda job: (-((job - added[0]) % 3), job))
    assert ids(store.claim(worker, most=4)) == expected[:4]
    assert ids(store.claim(worker, most=7)) == expected[4:11]
    assert [job.state for job in store.unfinished()].count("running") == 11


def test_a_claimed_job_is_running_in_its_next_attempt_under_its_worker(store: Any) -> None:
    worker = store.worker()
    job_id = store.add(queue="mail", priority=3, retries=2, arguments='{"to": "ada"}')
    (assignment,) = store.claim(worker, ["mail"])
    job = store.job(job_id)
    assert (job.state, job.attempt, job.worker_id) == ("running", 1, worker)
    assert job.started_at is not None
    assert assignment == Assignment(
        id=job_id,
        attempt=1,
        excused=0,
        losses=0,
        retries=2,
        priority=3,
        enqueued_microseconds=round(job.enqueued_at.timestamp() * 1e6),
        queue="mail",
        job_class=job.job_class,
        arguments='{"to": "ada"}',
        waited_microseconds=assignment.waited_microseconds,
        claim=assignment.claim,
    )
    waited = (job.started_at - job.run_at).total_seconds()
    assert assignment.waited_microseconds / 1e6 == pytest.approx(waited, abs=1e-5)


def test_priority_holds_across_queues(store: Any) -> None:
    """What a full queue may still hold at a higher priority comes before what other queues hold below it."""
    worker = store.worker()
    high = store.add_many(*({"queue": "high", "priority": 5} for _ in range(6)))
    low = store.add_many(*({"queue": "low", "priority": 1} for _ in range(6)))
    assert ids(store.claim(worker, ["low", "high"], most=8)) == high[:4]
    assert ids(store.claim(worker, ["low", "high"], most=8)) == [*high[4:], *low[:4]]
    assert ids(store.claim(worker, ["low", "high"], most=8)) == low[4:]


def test_a_claim_of_one_takes_from_the_queue_whose_turn_was_longest_ago(store: Any) -> None:
    """So that a worker with room for one job at a time gives every queue its turn."""
    worker = store.worker()
    busy = store.add_many({"queue": "busy"}, {"queue": "busy"})
    quiet = store.add_many({"queue": "quiet"}, {"queue": "quiet"})

    def claim_one(busy_turn: int, quiet_turn: int) -> list[int]:
        turns = [QueuePosition("busy", last_turn=busy_turn), QueuePosition("quiet", last_turn=quiet_turn)]
        return ids(store.claim(worker, turns, most=1))

    assert claim_one(0, 0) == [busy[0]], "first come, first served"
    assert claim_one(1, 0) == [quiet[0]]
    assert claim_one(1, 2) == [busy[1]]


def test_what_a_claim_lets_go_again_is_free_for_others_at_once(store: Any) -> None:
    low = store.add(queue="low")
    store.add(queue="high", priority=5)
    first, second = store.worker(), store.worker()
    store.claim(first, ["high", "low"], most=2)
    assert ids(store.claim(second, ["low"])) == [low]


def test_queues_of_equal_priority_take_turns(store: Any) -> None:
    worker = store.worker()
    busy = store.add_many(*({"queue": "busy"} for _ in range(3)))
    quiet = store.add_many(*({"queue": "quiet"} for _ in range(3)))
    assert ids(store.claim(worker, ["busy", "quiet"], most=4)) == [busy[0], quiet[0], busy[1], quiet[1]]


def test_a_busy_queue_does_not_starve_another_of_the_same_priority(store: Any) -> None:
    worker = store.worker()
    store.add_many(*({"queue": "busy"} for _ in range(500)))
    quiet = store.add(queue="quiet")
    assert quiet in ids(store.claim(worker, ["busy", "quiet"], most=2))


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    waiting=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 2)), max_size=25),
    most=st.integers(1, 8),
)
def test_whatever_waits_is_claimed_in_the_order_of_priority_and_all_of_it(
    waiting: list[tuple[str, int]], most: int, store: Any
) -> None:
    store.execute("TRUNCATE jobq.jobs")
    worker = store.worker()
    added = store.add_many(*({"queue": queue, "priority": priority} for queue, priority in waiting))
    served: list[Assignment] = []
    while batch := store.claim(worker, ["a", "b", "c"], most=most):
        served += batch
    assert [job.priority for job in served] == sorted((job.priority for job in served), reverse=True)
    for queue in "abc":
        mine = [job for job in served if job.queue == queue]
        assert mine == sorted(mine, key=lambda job: (-job.priority, job.id))
    assert sorted(ids(served)) == sorted(added)


def test_claims_that_run_side_by_side_never_share_a_job(store: Any) -> None:
    added = store.add_many(*({"queue": f"q{number % 3}"} for number in range(3000)))
    start = threading.Barrier(4)

    def claim_all(_: int) -> list[tuple[int, int]]:
        with store.another() as own:
            worker = own.worker()
            start.wait(30)
            taken = []
            while batch := own.claim(worker, ["q0", "q1", "q2"], most=7):
                taken += [(job.id, worker) for job in batch]
            return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [claim for claims in threads.map(claim_all, range(4)) for claim in claims]
    # A claimer stops when all that is left is locked by others: those may let go of some.
    last = store.worker()
    taken += [(job.id, last) for job in store.claim(last, ["q0", "q1", "q2"], most=3000)]
    assert Counter(job for job, _ in taken) == Counter(added)
    assert {job.id: job.worker_id for job in store.unfinished()} == dict(taken)
    assert {job.attempt for job in store.unfinished()} == {1}


def test_jobs_that_another_transaction_holds_are_passed_over_without_waiting(store: Any) -> None:
    first, second = store.add_many({}, {})
    with store.another() as own, own.connection.transaction():
        own.execute("SELECT FROM jobq.jobs WHERE id = %s FOR UPDATE", first)
        store.execute("SET lock_timeout = '10s'")
        assert ids(store.claim(store.worker())) == [second]


def test_nothing_is_claimed_from_a_paused_queue_until_it_is_resumed(store: Any) -> None:
    worker = store.worker()
    job = store.add(queue="mail")
    other = store.add(queue="other")
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now()), ('other', NULL)")
    assert ids(store.claim(worker, ["mail", "other"])) == [other]
    store.execute("UPDATE jobq.queues SET paused_at = NULL")
    assert ids(store.claim(worker, ["mail", "other"])) == [job]


def test_jobs_of_classes_that_the_worker_does_not_know_stay(store: Any) -> None:
    worker = store.worker()
    unknown = store.add(job_class="shop.jobs.Old", priority=9)
    known = store.add()
    assert ids(store.claim(worker, most=1)) == [known]
    assert store.claim(worker) == []
    assert store.job(unknown).state == "pending"
    assert ids(store.claim(worker, classes=["shop.jobs.Old"])) == [unknown]


def test_a_worker_that_knows_no_class_claims_nothing(store: Any) -> None:
    store.add()
    assert store.claim(store.worker(), classes=[]) == []


def test_classes_that_no_live_worker_knows_are_named(store: Any) -> None:
    known = ClassRecord(name="shop.jobs.New", aliases=("shop.jobs.Renamed",), parameters=(), summary=None)
    forgotten = ClassRecord(name="shop.jobs.Old", aliases=(), parameters=(), summary=None)
    store.worker(classes=[known])
    store.declare_dead(store.worker(classes=[forgotten]))
    store.add_many(
        {"job_class": "shop.jobs.New"},
        {"job_class": "shop.jobs.Renamed"},
        {"job_class": "shop.jobs.Old", "queue": "b"},
        {"job_class": "shop.jobs.Old", "queue": "a"},
        {"job_class": "shop.jobs.Gone"},
        {"job_class": "shop.jobs.Later", "delay": 60},
    )
    assert jobs.unknown_classes(store.connection, store.schema) == [
        ("shop.jobs.Gone", 1, ["default"], [1]),
        ("shop.jobs.Old", 2, ["a", "b"], [1, 1]),
    ]


def test_a_worker_that_was_declared_dead_claims_nothing(store: Any) -> None:
    dead, alive = store.worker(), store.worker()
    job = store.add()
    store.declare_dead(dead)
    assert store.claim(dead) == []
    assert store.claim(10**6) == [], "nor does one that never registered"
    assert ids(store.claim(alive)) == [job]


def test_scheduled_jobs_are_not_claimed_before_their_time(store: Any) -> None:
    worker = store.worker()
    store.add(delay=3600, priority=9)
    assert store.claim(worker) == []
    assert store.promote().promoted == 0


def test_due_jobs_become_pending_and_the_next_ones_time_is_told(store: Any) -> None:
    due, later = store.add(delay=3600, queue="mail"), store.add(delay=7200)
    store.execute("UPDATE jobq.jobs SET run_at = now() - interval '1 s' WHERE id = %s", due)
    promotion = store.promote()
    assert (promotion.queues, promotion.promoted) == (("mail",), 1)
    assert promotion.next_due_seconds is not None
    assert 3600 < promotion.next_due_seconds <= 7200
    assert [job.state for job in store.unfinished()] == ["pending", "scheduled"]
    store.execute("DELETE FROM jobq.jobs WHERE id = %s", later)
    assert store.promote().next_due_seconds is None


def test_due_jobs_become_pending_oldest_first_so_many_at_a_time(store: Any) -> None:
    added = store.add_many(*({"delay": 100 - number} for number in range(10)))
    store.execute("UPDATE jobq.jobs SET run_at = run_at - interval '1 hour'")
    assert store.promote(limit=4).promoted == 4
    assert [job.id for job in store.unfinished() if job.state == "pending"] == added[-4:]


def test_two_workers_that_promote_at_once_promote_each_job_once(store: Any) -> None:
    store.add_many(*({"delay": 60} for _ in range(1000)))
    store.execute("UPDATE jobq.jobs SET run_at = now() - interval '1 s'")

    def promote(_: int) -> int:
        with store.another() as own:
            return sum(own.promote(limit=50).promoted for _ in range(20))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(promote, range(4))) + store.promote().promoted == 1000


def test_a_claim_resumes_at_a_position_in_the_order_of_service(store: Any) -> None:
    worker = store.worker()
    high, first, second, low = store.add_many({"priority": 5}, {}, {}, {"priority": -5})
    assert ids(store.claim(worker, [QueuePosition("default", 0, second)])) == [second, low]
    assert ids(store.claim(worker, [QueuePosition("default", 0, 0)])) == [first]
    assert ids(store.claim(worker, [QueuePosition("default", -32768, 0)])) == []
    assert ids(store.claim(worker, [QueuePosition("default")])) == [high]


@pytest.mark.parametrize("priority", [-32767, 32767])
def test_the_ends_of_the_range_of_priorities_are_claimed_from_the_front(priority: int, store: Any) -> None:
    job = store.add(priority=priority)
    assert ids(store.claim(store.worker())) == [job]


def test_every_queue_in_which_something_is_pending_is_found_once(store: Any) -> None:
    store.add_many(*({"queue": queue} for queue in ("b", "a", "b", "ä", "a b", 'q"')), {"queue": "later", "delay": 60})

    def pending(known: Sequence[str] = ()) -> tuple[str, ...]:
        return jobs.promote(store.connection, store.schema, worker_id=0, known=known).others

    found = pending()
    assert sorted(found) == sorted(["b", "a", "ä", "a b", 'q"'])
    for known in (["b"], ["a", "ä", "z", "0"], ['q"', "later"], found):
        others = pending(known)
        assert sorted(others) == sorted(set(found) - set(known))
    store.execute("TRUNCATE jobq.jobs")
    assert pending() == ()


def test_a_worker_can_ask_what_it_holds(store: Any) -> None:
    worker, other = store.worker(), store.worker()
    store.add_many({}, {"priority": 3}, {})
    mine = store.claim(worker, most=2)
    store.claim(other)
    assert carry_out(store.connection, claiming.held(store.schema, worker_id=worker)) == mine


def claims(store: Any) -> list[list[int]]:
    return [row.job_ids for row in store.rows("SELECT job_ids FROM jobq.claims ORDER BY id")]


def test_a_claim_is_noted_until_its_worker_says_that_it_is_over(store: Any) -> None:
    worker = store.worker()
    first, second = store.add(), store.add()
    (claimed,) = store.claim(worker, most=1)
    assert claims(store) == [[first]]
    position = QueuePosition("default")
    jobs.claim(
        store.connection,
        store.schema,
        worker_id=worker,
        positions=[position],
        classes=[claimed.job_class],
        most=1,
        over=[claimed.claim],
    )
    assert claims(store) == [[second]]


def test_the_claim_of_a_worker_that_is_gone_stays_until_its_jobs_are_rescued(store: Any) -> None:
    worker = store.worker()
    job_id = store.add()
    store.claim(worker)
    store.declare_dead(worker)
    workers.forget_claims(store.connection, store.schema)
    assert claims(store) == [[job_id]]
    assert [job.id for job in workers.rescue(store.connection, store.schema, max_losses=3)] == [job_id]
    workers.forget_claims(store.connection, store.schema)
    assert claims(store) == []


def test_a_job_that_was_set_running_by_hand_is_found_and_rescued(store: Any) -> None:
    job_id = store.add()
    store.execute("UPDATE jobq.jobs SET worker_id = 77, started_at = now(), attempt = 1")
    assert workers.rescue(store.connection, store.schema, max_losses=3) == []
    assert workers.note_claims(store.connection, store.schema) == {77: 1}
    assert workers.note_claims(store.connection, store.schema) == {}
    assert [job.id for job in workers.rescue(store.connection, store.schema, max_losses=3)] == [job_id]
