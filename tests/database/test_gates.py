"""Gates: what a claim through one may start, and what frees a place. On real rows; races have a file of their own."""

from collections.abc import Sequence
from typing import Any

import pytest

from conftest import JOB_CLASS
from jobq.states import Outcome
from jobq.store.claiming import LanePosition


@pytest.fixture
def worker(store: Any) -> int:
    worker: int = store.worker()
    return worker


def fill(store: Any, lanes: str | Sequence[str], **fields: Any) -> list[int]:
    """One job for each of these lanes, in this order."""
    return [store.add(gate="g", lane=lane, **fields) for lane in lanes]


def lanes_of(store: Any, passed: Any) -> str:
    """The lanes of the jobs that were claimed, in the order of their places."""
    ids = [assignment.id for assignment in passed.assignments]
    rows = store.rows("SELECT lane FROM jobq.jobs WHERE id = ANY (%s) ORDER BY id", [ids])
    return "".join(row.lane for row in rows)


def held(store: Any) -> int:
    (row,) = store.rows("SELECT count(*) AS n FROM jobq.jobs WHERE place IS NOT NULL")
    return int(row.n)


# Limits


def test_no_more_run_than_the_gate_allows(store: Any, worker: int) -> None:
    store.gate(max_running=3)
    fill(store, "aaaaa")
    assert len(store.claim_through(worker).assignments) == 3
    assert store.claim_through(worker).assignments == []
    assert store.claim_through(store.worker(pid=2)).assignments == []


def test_no_more_run_in_a_lane_than_the_gate_allows(store: Any, worker: int) -> None:
    store.gate(max_running=3, lane_max_running=1)
    fill(store, "aaabbcd")
    assert lanes_of(store, store.claim_through(worker)) == "abc"


def test_a_lane_that_is_met_in_two_queues_and_two_priorities_has_its_limit_once(store: Any, worker: int) -> None:
    store.gate(lane_max_running=1)
    fill(store, "a", priority=5)
    fill(store, "a")
    fill(store, "a", queue="mail")
    assert len(store.claim_through(worker, queues=["default", "mail"]).assignments) == 1


def test_an_ordinary_claim_passes_by_no_gate(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "a")
    assert store.claim(worker) == []
    assert store.promote().queues == ()


def test_two_gates_have_nothing_to_do_with_each_other(store: Any, worker: int) -> None:
    store.gate(max_running=1)
    store.gate("other", max_running=1)
    fill(store, "a")
    store.add(gate="other", lane="a")
    assert len(store.claim_through(worker).assignments) == 1
    assert len(store.claim_through(worker, "other").assignments) == 1


def test_higher_priorities_start_first(store: Any, worker: int) -> None:
    store.gate(max_running=2)
    low = fill(store, "ab")
    (high,) = fill(store, "c", priority=5)
    claimed = [assignment.id for assignment in store.claim_through(worker).assignments]
    assert claimed == [high, low[0]]


def test_an_operators_limit_stands_above_the_declared_one_until_it_is_over(store: Any, worker: int) -> None:
    store.gate(max_running=5, set_max_running=1)
    fill(store, "aaaaa")
    assert len(store.claim_through(worker).assignments) == 1
    store.execute("UPDATE jobq.gates SET set_until = now() - interval '1 second'")
    assert len(store.claim_through(worker).assignments) == 4


def test_a_limit_that_was_lowered_below_what_runs_starts_nothing(store: Any, worker: int) -> None:
    store.gate(max_running=3)
    fill(store, "aaaaa")
    store.claim_through(worker)
    store.execute("UPDATE jobq.gates SET max_running = 1")
    assert store.claim_through(worker).assignments == []


def test_nothing_starts_at_a_paused_gate_or_in_a_paused_lane(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "ab")
    store.execute("INSERT INTO jobq.lanes (gate, lane, paused_at) VALUES ('g', 'a', now())")
    store.execute("UPDATE jobq.gates SET paused_at = now()")
    assert store.claim_through(worker).assignments == []
    store.execute("UPDATE jobq.gates SET paused_until = now()")
    assert lanes_of(store, store.claim_through(worker)) == "b"
    store.execute("UPDATE jobq.lanes SET paused_until = now()")
    assert lanes_of(store, store.claim_through(worker)) == "a"


def test_nothing_starts_from_a_paused_queue(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "a")
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('default', now())")
    assert store.claim_through(worker).assignments == []


def test_a_lane_may_have_a_limit_of_its_own(store: Any, worker: int) -> None:
    store.gate(lane_max_running=1)
    fill(store, "aaabbb")
    store.execute("INSERT INTO jobq.lanes (gate, lane, set_max_running) VALUES ('g', 'a', 2)")
    assert lanes_of(store, store.claim_through(worker)) == "aab"


def test_a_worker_that_was_declared_dead_claims_nothing(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "a")
    store.execute("UPDATE jobq.workers SET stopped_at = now()")
    assert store.claim_through(worker).assignments == []


def test_a_job_of_a_class_that_the_worker_does_not_know_waits(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "a")
    assert store.claim_through(worker, classes=["other.Job"]).assignments == []


def test_a_row_that_somebody_gave_a_worker_by_hand_stops_nothing(store: Any, worker: int) -> None:
    store.gate(max_running=2)
    impossible, sound = fill(store, "aa")
    store.execute("UPDATE jobq.jobs SET worker_id = 77, started_at = now() WHERE id = %s", impossible)
    assert [assignment.id for assignment in store.claim_through(worker).assignments] == [sound]


# Turns


def test_a_lane_with_many_jobs_does_not_hold_up_the_others(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "a" * 30 + "bcd")
    assert lanes_of(store, store.claim_through(worker, most=6)).replace("a", "", 3) == "bcd"


def test_the_next_claim_begins_behind_the_lane_that_was_served_last(store: Any, worker: int) -> None:
    store.gate()
    fill(store, "abcabc")
    served, positions = "", [LanePosition("default")]
    for _ in range(6):
        passed = store.claim_through(worker, queues=positions, most=1)
        served, positions = served + lanes_of(store, passed), passed.positions
    assert served == "abcabc"


def test_every_job_of_ninety_nine_small_lanes_begins_before_a_big_lane_had_twice_as_many(
    store: Any, worker: int
) -> None:
    store.gate()
    store.add_many(*[{"gate": "g", "lane": "big"}] * 3000)
    store.add_many(*[{"gate": "g", "lane": f"small-{n % 99:02}"} for n in range(990)])
    big = small = 0
    positions = [LanePosition("default")]
    while small < 990:
        passed = store.claim_through(worker, queues=positions, most=16)
        positions = passed.positions
        ids = [assignment.id for assignment in passed.assignments]
        (row,) = store.rows(
            "SELECT count(*) FILTER (WHERE lane = 'big') AS n FROM jobq.jobs WHERE id = ANY (%s)", [ids]
        )
        big, small = big + row.n, small + len(ids) - row.n
        store.execute("DELETE FROM jobq.jobs WHERE id = ANY (%s)", ids)
    assert big < 1980


def test_a_lane_with_room_is_found_among_thousands_that_are_full(store: Any, worker: int) -> None:
    store.gate(lane_max_running=1)
    store.add_many(*[{"gate": "g", "lane": f"full-{n:05}"} for n in range(2000)] * 2, {"gate": "g", "lane": "room"})
    store.execute(
        "UPDATE jobq.jobs SET worker_id = %s, started_at = now(), attempt = 1, place = nextval('jobq.places') "
        "WHERE id <= 2000",
        worker,
    )
    positions, claims = [LanePosition("default")], 0
    while not (passed := store.claim_through(worker, queues=positions)).assignments:
        positions, claims = passed.positions, claims + 1
        assert passed.is_cut
        assert claims < 60
    assert lanes_of(store, passed) == "room"


# Strict lanes


def test_a_strict_lane_begins_its_next_job_only_when_the_one_before_has_ended_for_good(
    store: Any, worker: int, report: Any
) -> None:
    store.gate(lane_max_running=1, is_strict=True)
    first, second = fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=60.0))
    assert store.claim_through(worker).assignments == [], "the first waits for its retry, and holds the lane"
    store.execute("UPDATE jobq.jobs SET run_at = now() WHERE id = %s", first)
    store.promote()
    (assignment,) = store.claim_through(worker).assignments
    assert (assignment.id, assignment.attempt) == (first, 2)
    store.finish(worker, report(assignment, Outcome.SUCCESSFUL))
    assert [one.id for one in store.claim_through(worker).assignments] == [second]


def test_a_strict_lane_is_held_by_no_job_that_was_given_back_before_it_began(store: Any, worker: int) -> None:
    store.gate(lane_max_running=1, is_strict=True)
    first, _ = fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.give_back(worker, assignment)
    assert held(store) == 0
    assert [one.id for one in store.claim_through(worker).assignments] == [first]


def test_a_cancelled_job_lets_go_of_its_strict_lane(store: Any, worker: int, report: Any) -> None:
    store.gate(lane_max_running=1, is_strict=True)
    first, second = fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=60.0))
    store.cancel(first)
    assert [one.id for one in store.claim_through(worker).assignments] == [second]


def test_a_job_that_kept_its_strict_lane_goes_on_when_the_gate_is_strict_no_more(
    store: Any, worker: int, report: Any
) -> None:
    store.gate(lane_max_running=1, is_strict=True)
    fill(store, "a")
    (assignment,) = store.claim_through(worker).assignments
    store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=0.0))
    store.execute("UPDATE jobq.gates SET is_strict = false")
    assert len(store.claim_through(worker).assignments) == 1


# What frees a place


@pytest.mark.parametrize("way", ["success", "failure", "retry", "retry later", "give back", "rescue", "delete"])
def test_a_place_is_freed_by_the_end_of_its_attempt_whatever_way_that_is(
    way: str, store: Any, worker: int, report: Any
) -> None:
    store.gate(max_running=1)
    fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    match way:
        case "success":
            store.finish(worker, report(assignment, Outcome.SUCCESSFUL))
        case "failure":
            store.finish(worker, report(assignment, Outcome.ERRORED))
        case "retry" | "retry later":
            delay = 60.0 if way == "retry later" else 0.0
            store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=delay))
        case "give back":
            store.give_back(worker, assignment)
        case "rescue":
            store.declare_dead(worker, assignment)
            store.rescue()
        case "delete":
            store.execute("DELETE FROM jobq.jobs WHERE id = %s", assignment.id)
    assert held(store) == 0
    assert len(store.claim_through(store.worker(pid=2)).assignments) == 1


def test_a_late_report_frees_nothing(store: Any, worker: int, report: Any) -> None:
    store.gate(max_running=1)
    fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.declare_dead(worker, assignment)
    store.rescue()
    other = store.worker(pid=2)
    assert len(store.claim_through(other).assignments) == 1
    assert store.finish(worker, report(assignment, Outcome.SUCCESSFUL)) == 0
    assert store.claim_through(other).assignments == []


def test_a_lost_attempt_keeps_its_place_where_the_gate_waits_after_a_loss(store: Any, worker: int) -> None:
    store.gate(max_running=1, loss_wait_seconds=60.0)
    fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.declare_dead(worker, assignment)
    other = store.worker(pid=2)
    assert store.rescue() == []
    assert store.claim_through(other).assignments == []
    store.execute("UPDATE jobq.workers SET stopped_at = now() - interval '61 seconds' WHERE id = %s", worker)
    assert len(store.rescue()) == 1
    assert len(store.claim_through(other).assignments) == 1


# Rates


def test_a_rate_starts_its_burst_and_then_one_at_a_time(store: Any, worker: int) -> None:
    store.gate(rate=10, rate_seconds=60.0, rate_burst=4)
    fill(store, "a" * 9)
    passed = store.claim_through(worker)
    assert len(passed.assignments) == 4
    assert 7 < passed.next_start_seconds < 8.6
    assert store.claim_through(worker).assignments == []


def test_a_lane_has_a_rate_of_its_own(store: Any, worker: int) -> None:
    store.gate(lane_rate=2, lane_rate_seconds=60.0, lane_rate_burst=2)
    fill(store, "aaabbb")
    assert lanes_of(store, store.claim_through(worker)) == "aabb"
    passed = store.claim_through(worker)
    assert passed.assignments == []
    assert 50 < passed.next_start_seconds <= 60


def test_an_attempt_has_used_its_start_however_it_ends(store: Any, worker: int) -> None:
    store.gate(rate=1, rate_seconds=60.0, rate_burst=1)
    fill(store, "aa")
    (assignment,) = store.claim_through(worker).assignments
    store.give_back(worker, assignment)
    assert store.claim_through(worker).assignments == []


def test_a_clock_that_was_put_back_stops_a_rate_for_no_longer_than_two_windows(store: Any, worker: int) -> None:
    store.gate(rate=10, rate_seconds=1.0, rate_burst=1)
    fill(store, "a")
    store.execute("UPDATE jobq.gates SET spent_to = now() + interval '1 year'")
    passed = store.claim_through(worker)
    assert passed.assignments == []
    assert passed.next_start_seconds <= 2


# Ways in


def test_a_lane_in_sql_is_that_of_the_arguments_and_the_gate_that_of_the_class(store: Any, known: Any) -> None:
    store.execute('SELECT jobq.enqueue(%s, \'{"customer": "acme"}\')', JOB_CLASS)
    store.execute("SELECT jobq.enqueue(%s, '{\"customer\": \"acme\"}', lane => 'other')", JOB_CLASS)
    store.execute('SELECT jobq.enqueue(%s, \'{"customer": {"$": "uuid", "v": "7"}}\')', JOB_CLASS)
    rows = store.rows("SELECT gate, lane, state FROM jobq.jobs ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("g", "acme", "gated"), ("g", "other", "gated"), ("g", "7", "gated"),
    ]  # fmt: skip


@pytest.fixture
def known(store: Any) -> None:
    classes = f'[{{"name": "{JOB_CLASS}", "aliases": [], "gate": {{"name": "g", "by": "customer"}}}}]'
    store.execute("UPDATE jobq.workers SET classes = %s::jsonb WHERE id = %s", classes, store.worker(pid=9))


def test_a_lane_of_a_class_without_a_gate_is_refused_in_sql(store: Any) -> None:
    with pytest.raises(Exception, match="lane is for jobs with a gate"):
        store.execute("SELECT jobq.enqueue('other.Job', lane => 'a')")


@pytest.mark.parametrize("count", [1, 3, 200])
def test_jobs_come_to_their_gate_one_by_one_in_a_list_and_by_copy(count: int, store: Any, worker: int) -> None:
    store.gate()
    store.add_many(*[{"gate": "g", "lane": str(n % 3)} for n in range(count)])
    rows = store.rows("SELECT DISTINCT gate, state FROM jobq.jobs")
    assert [tuple(row) for row in rows] == [("g", "gated")]
    assert len(store.claim_through(worker, most=1000).assignments) == count


def test_an_undone_cancellation_brings_a_job_back_to_its_gate(store: Any, worker: int) -> None:
    from jobq.store import acts, audit

    store.gate()
    (job,) = fill(store, "a")
    acts.cancel(store.connection, store.schema, [job], cancelled_by="ada@here", act=1)
    audit.undo_cancel(store.connection, store.schema, 1, [job])
    assert lanes_of(store, store.claim_through(worker)) == "a"


def test_the_history_has_the_gate_and_the_lane(store: Any, worker: int, report: Any) -> None:
    store.gate()
    fill(store, "ab")
    first, second = store.claim_through(worker).assignments
    store.finish(worker, report(first, Outcome.SUCCESSFUL))
    store.finish(worker, report(second, Outcome.ERRORED))
    assert [(row.gate, row.lane) for row in store.rows("SELECT gate, lane FROM jobq.results ORDER BY id")] == [
        ("g", "a"), ("g", "b"),
    ]  # fmt: skip


# What plain jobs pay


def test_a_job_without_a_gate_touches_nothing_of_gates(store: Any, worker: int, report: Any) -> None:
    store.add_many(*[{}] * 300)
    claimed = store.claim(worker, most=300)
    store.finish(worker, *[report(assignment, Outcome.SUCCESSFUL) for assignment in claimed])
    (row,) = store.rows("SELECT pg_relation_size('jobq.jobs_gated') AS bytes")
    assert row.bytes == 8192, "no entry was ever written: there is the page of the empty index alone"
