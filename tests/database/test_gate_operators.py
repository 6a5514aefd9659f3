"""What operators see of gates and set on them: acts with audit and undo, reasons, the proof from the history."""

from dataclasses import replace
from typing import Any

import pytest

from jobq import observe, operate
from jobq.errors import GateNotFound, UsageError
from jobq.filters import Moment, parse
from jobq.observe.needs import FULL_SECONDS, Facts, Kind, needs
from jobq.records import ClassRecord, GateStats, ParameterRecord, QueueStats
from jobq.store.database import Database

CRM = {"name": "crm", "limit": 2, "by": "customer", "lane_limit": 1, "is_strict": False, "waits_after_loss": False}
CALL = ClassRecord(
    "shop.jobs.Work", (), (ParameterRecord("customer", "POSITIONAL_OR_KEYWORD", "str", None, True),), None, gate=CRM
)


@pytest.fixture
def worker(store: Any) -> int:
    """A worker that declares the gate crm."""
    from jobq.store import gates

    worker_id: int = store.worker(classes=[CALL])
    gates.declare(store.connection, store.schema, loss_wait_seconds=0.0)
    return worker_id


def wait_at(store: Any, lane: str, count: int = 1, gate: str = "crm", **fields: Any) -> list[int]:
    return [store.add(gate=gate, lane=lane, **fields) for _ in range(count)]


def run_through(store: Any, worker: int, *ids: int) -> None:
    """As a claim through the gate leaves the rows."""
    store.execute(
        "UPDATE jobq.jobs SET worker_id = %s, started_at = now(), attempt = 1, place = nextval('jobq.places') "
        "WHERE id = ANY (%s)",
        worker,
        list(ids),
    )
    store.execute("INSERT INTO jobq.claims (worker_id, job_ids) VALUES (%s, %s)", worker, list(ids))


def the_gate(database: Database, name: str = "crm") -> GateStats:
    return next(one for one in observe.gates(database) if one.name == name)


def kinds_of(database: Database, job_id: int) -> list[str]:
    return [reason.kind for reason in observe.why(database, job_id).reasons]


def test_a_gate_says_what_runs_what_waits_and_in_how_many_lanes(store: Any, database: Database, worker: int) -> None:
    running = wait_at(store, "acme")
    run_through(store, worker, *running)
    wait_at(store, "acme", 3)
    wait_at(store, "globex", 2)
    wait_at(store, "", 1, gate="typo")
    crm, typo = observe.gates(database)
    assert (crm.name, crm.running, crm.limit, crm.waiting, crm.lanes, crm.is_declared) == ("crm", 1, 2, 5, 2, True)
    assert (typo.name, typo.is_known, typo.waiting) == ("typo", False, 1)
    found = observe.gate(database, "crm")
    assert [(lane.name, lane.running, lane.waiting) for lane in found.lanes] == [("acme", 1, 3), ("globex", 0, 2)]
    (queue,) = observe.queues(database)
    assert (queue.pending, queue.running) == (0, 1), "what runs through a gate is no pending job less"
    assert observe.stats(database).gated == 6


def test_where_there_is_no_gate_none_is_looked_at(database: Database, store: Any) -> None:
    store.add()
    assert observe.gates(database) == ()
    assert observe.stats(database).gates == ()


def test_a_name_that_is_none_is_told_with_those_there_are(database: Database, worker: int) -> None:
    with pytest.raises(GateNotFound, match=r"There is no gate 'cmr'\. Did you mean crm\? There are: crm\."):
        observe.gate(database, "cmr")
    with pytest.raises(GateNotFound):
        operate.pause_gate(database, "cmr")


@pytest.mark.parametrize("lane", [None, "acme"])
def test_a_limit_stands_above_the_declared_one_until_it_is_taken_back(
    database: Database, worker: int, lane: str | None
) -> None:
    def limit_now() -> int | None:
        if lane is None:
            return the_gate(database).limit
        return next((one.set_limit for one in observe.gate(database, "crm").lanes if one.name == lane), None)

    declared = limit_now()
    assert operate.limit_gate(database, "crm", 5, lane=lane, seconds=3600, reason="they are slow").done
    assert limit_now() == 5
    assert operate.limit_gate(database, "crm", None, lane=lane).done
    assert limit_now() == declared
    again = operate.limit_gate(database, "crm", None, lane=lane)
    assert (again.done, again.why_not) == (False, "no limit is set on it")
    undone, acted = operate.undo(database)
    assert (undone.verb, acted.act is not None, limit_now()) == ("limit gate", True, 5)
    (*_, first) = observe.audit(database)
    assert first.verb == "limit gate"
    assert "5: they are slow" in (first.selection or "")
    assert (lane is None) == ("lane acme" not in (first.selection or ""))


def test_a_limit_for_a_time_is_over_by_itself(store: Any, database: Database, worker: int) -> None:
    operate.limit_gate(database, "crm", 5, seconds=3600)
    store.execute("UPDATE jobq.gates SET set_until = now() - interval '1 second'")
    assert the_gate(database).limit == 2
    assert the_gate(database).set_limit is None


@pytest.mark.parametrize("lane", [None, "acme"])
def test_a_pause_is_undone_as_it_was_and_a_resume_too(database: Database, worker: int, lane: str | None) -> None:
    def reason_now() -> str | None:
        if lane is None:
            return the_gate(database).pause_reason
        return next((one.pause_reason for one in observe.gate(database, "crm").lanes if one.name == lane), None)

    assert operate.pause_gate(database, "crm", lane=lane, reason="maintenance").done
    assert operate.pause_gate(database, "crm", lane=lane, reason="another").why_not == "it is paused already"
    assert operate.resume_gate(database, "crm", lane=lane).done
    assert reason_now() is None
    operate.undo(database)
    assert reason_now() == "maintenance"
    operate.undo(database)
    assert reason_now() is None
    assert operate.resume_gate(database, "crm", lane=lane).why_not == "it is not paused"


def test_what_was_set_again_since_is_not_undone(store: Any, database: Database, worker: int) -> None:
    first = operate.limit_gate(database, "crm", 5)
    store.execute("UPDATE jobq.audit SET ended_at = ended_at - interval '1 second'")
    operate.limit_gate(database, "crm", 7)
    assert operate.remaining(database)[first.act or 0] == 0
    _, acted = operate.undo(database, first.act)
    assert acted.act is None
    assert the_gate(database).limit == 7


def test_jobs_of_before_take_the_lane_that_their_argument_names(store: Any, database: Database, worker: int) -> None:
    due = store.add(arguments='{"customer": "acme"}')
    later = store.add(arguments='{"customer": "globex"}', delay=3600)
    planned = operate.adoption(database, "crm", parse(""))
    selected = observe.select(database, planned.selection)
    assert sorted(selected.ids) == sorted([due, later])
    acted = operate.adopt(database, planned, selected.ids)
    assert acted.done == sorted([due, later])
    rows = {row.id: (row.gate, row.lane, row.state) for row in store.unfinished()}
    assert rows == {due: ("crm", "acme", "gated"), later: ("crm", "globex", "scheduled")}
    operate.undo(database)
    rows = {row.id: (row.gate, row.lane, row.state) for row in store.unfinished()}
    assert rows == {due: (None, None, "pending"), later: (None, None, "scheduled")}


def test_a_lane_that_only_code_knows_must_be_named(store: Any, database: Database) -> None:
    from jobq.store import gates

    store.worker(classes=[replace(CALL, parameters=(), gate={**CRM, "by": None})])
    gates.declare(store.connection, store.schema, loss_wait_seconds=0.0)
    with pytest.raises(UsageError, match=r"comes from its get_lane\(\).*--lane"):
        operate.adoption(database, "crm", parse(""))
    assert operate.adoption(database, "crm", parse(""), lane="acme").lane == "acme"


def test_filters_find_a_gate_a_lane_and_the_state(store: Any, database: Database, worker: int) -> None:
    acme = wait_at(store, "acme", 2)
    wait_at(store, "globex")
    store.add()

    def found(text: str) -> list[int]:
        return sorted(job.id for job in observe.list_jobs(database, parse(text), limit=10).jobs)

    assert found("gate:crm lane:acme state:gated") == acme
    assert len(found("state:gated")) == 3
    assert len(found("-gate:*")) == 1
    assert len(found("state:pending")) == 1
    job = observe.show(database, acme[0]).job
    assert (job.state, job.gate, job.lane) == ("gated", "crm", "acme")


def test_why_names_the_lane_and_the_gate_that_are_full(store: Any, database: Database, worker: int) -> None:
    running = [*wait_at(store, "acme"), *wait_at(store, "globex")]
    run_through(store, worker, *running)
    first, second = wait_at(store, "acme", 2)
    other = wait_at(store, "initech")[0]
    reasons = observe.why(database, second).reasons
    assert [reason.kind for reason in reasons] == ["lane full", "gate full", "behind", "turn", "busy"]
    assert "1 of 1 run, the oldest since" in reasons[0].text
    assert f"job {running[0]} on here/1" in reasons[0].text
    assert reasons[1].text.startswith("gate 'crm' full: 2 of 2 run, the oldest since")
    assert reasons[1].remedy == "jobq gates limit crm 4 --for 1h"
    assert reasons[2].text == "1 job of its lane 'acme' comes before it"
    assert reasons[3].text == "1 lane of gate 'crm' waits too, and takes its turn"
    assert kinds_of(database, other) == ["gate full", "turn", "busy"]
    assert kinds_of(database, first) == ["lane full", "gate full", "turn", "busy"]


def test_why_names_who_paused_a_gate_or_a_lane_and_the_reason(store: Any, database: Database, worker: int) -> None:
    (job,) = wait_at(store, "acme")
    operate.pause_gate(database, "crm", reason="maintenance", seconds=600)
    operate.pause_gate(database, "crm", lane="acme", reason="they asked")
    gate, lane = observe.why(database, job).reasons
    assert (gate.kind, gate.remedy) == ("gate paused", "jobq gates resume crm")
    assert gate.text.endswith(": maintenance")
    assert " until " in gate.text
    assert (lane.kind, lane.remedy) == ("lane paused", "jobq gates resume crm --lane acme")
    assert lane.text.endswith(": they asked")


def test_why_says_when_the_rate_lets_the_next_start(store: Any, database: Database, worker: int) -> None:
    (job,) = wait_at(store, "acme")
    store.execute(
        "UPDATE jobq.gates SET rate = 10, rate_seconds = 60, rate_burst = 1, spent_to = now() + interval '5 seconds'"
    )
    (reason,) = observe.why(database, job).reasons
    assert reason.kind == "rate"
    assert reason.text.startswith("gate 'crm' has used up its rate: next start in ")


def test_why_names_the_job_that_a_strict_lane_waits_for(store: Any, database: Database, worker: int) -> None:
    store.execute("UPDATE jobq.gates SET is_strict = true")
    first, second = wait_at(store, "acme", 2)
    store.execute(
        "UPDATE jobq.jobs SET place = nextval('jobq.places'), attempt = 1, is_due = false, "
        "run_at = now() + interval '1 hour' WHERE id = %s",
        first,
    )
    strict = observe.why(database, second).reasons[0]
    assert strict.kind == "strict"
    assert strict.text.startswith(f"its lane is strict, and job {first} of it is in backoff until ")
    assert strict.remedy == f"jobq why {first}"


def test_why_says_that_no_worker_declares_the_gate(store: Any, database: Database, worker: int) -> None:
    (job,) = wait_at(store, "", gate="typo")
    assert observe.why(database, job).reasons[0].text == (
        "no worker has declared its gate 'typo': deploy the code that has it, and start a worker"
    )


def test_the_history_proves_the_largest_overlap(store: Any, database: Database, worker: int) -> None:
    def ended(number: int, lane: str, begin: int, end: int, outcome: str = "successful") -> None:
        store.execute(
            "INSERT INTO jobq.results (id, attempt, ended_at, started_at, enqueued_at, run_at, retries, priority, "
            "retried, outcome, queue, job_class, arguments, gate, lane) "
            "SELECT %s, 1, base + %s * interval '1 s', base + %s * interval '1 s', base, base, 0, 0, false, %s, 'q', "
            "'shop.jobs.Work', '{}', 'crm', %s FROM (SELECT now() - interval '1 hour' AS base) AS b",
            number, end, begin, outcome, lane,
        )  # fmt: skip

    ended(1, "acme", 0, 10)
    ended(2, "globex", 5, 15)
    ended(3, "acme", 10, 20)  # begins in the moment in which another ends: no overlap
    ended(4, "acme", 6, 8, "lost")
    found = observe.audit_gate(database, "crm", Moment(86400))
    assert (found.attempts, found.lost, found.is_kept) == (4, 1, True)
    assert (found.overlap.attempts, found.lane_overlap.attempts) == (2, 1)
    assert found.overlap_with_lost.attempts == 3
    ended(5, "acme", 12, 13)
    broken = observe.audit_gate(database, "crm", Moment(86400))
    assert (broken.lane_overlap.attempts, broken.lane_overlap.lane, broken.is_kept) == (2, "acme", False)


def a_gate(database: Database, **fields: Any) -> GateStats:
    return replace(the_gate(database), **fields)


def test_a_gate_needs_somebody_only_where_it_is_full_for_long_with_many_that_wait(
    database: Database, worker: int
) -> None:
    def kinds(gate: GateStats) -> list[Kind]:
        stats = observe.stats(database)
        facts = observe.facts_of(
            replace(stats, gates=(gate,)), observe.Failing(), observe.Stuck(), since="1h", growth={}
        )
        assert isinstance(facts, Facts)
        assert all(isinstance(queue, QueueStats) for queue in facts.queues)
        return [need.kind for need in needs(facts)]

    late = FULL_SECONDS + 1
    assert kinds(a_gate(database, running=2, waiting=20, oldest_seconds=late)) == [Kind.GATE_FULL]
    assert kinds(a_gate(database, running=2, waiting=19, oldest_seconds=late)) == []
    assert kinds(a_gate(database, running=2, waiting=20, oldest_seconds=FULL_SECONDS)) == []
    assert kinds(a_gate(database, running=1, waiting=2, oldest_seconds=3601.0)) == [Kind.GATE_WAITS]
    assert kinds(a_gate(database, is_known=False, waiting=1)) == [Kind.GATE_UNKNOWN]
    paused = a_gate(database, paused_at=observe.stats(database).at, waiting=1)
    assert kinds(paused) == [Kind.GATE_PAUSED]
    assert kinds(replace(paused, waiting=0)) == []
