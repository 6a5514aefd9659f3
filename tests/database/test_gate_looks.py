"""Looks at gates stay small however many jobs and lanes wait: along one index, over few pages."""

from typing import Any

import pytest
from psycopg import sql
from test_plans import nodes, pages, ways_into

from jobq import observe
from jobq.observe.gates import GATE_LANES_LIMIT, LANE_LIMIT, LANES_LIMIT, WAITING_LIMIT
from jobq.observe.why_gate import JOBS_COUNTED, LANES_COUNTED
from jobq.store.statements import statement

LANES, EACH = 3_000, 10


@pytest.fixture
def crowded(store: Any) -> Any:
    """One gate with thousands of lanes, and some that run."""
    store.execute("INSERT INTO jobq.gates (name, max_running, lane_max_running, declared_by) VALUES ('crm', 5, 2, 1)")
    store.execute(
        "INSERT INTO jobq.jobs (job_class, is_due, gate, lane) "
        "SELECT 'shop.jobs.Work', NULL, 'crm', 'lane ' || number %% %s FROM generate_series(1, %s) AS given (number)",
        LANES,
        LANES * EACH,
    )
    worker = store.worker()
    store.execute(
        "UPDATE jobq.jobs SET worker_id = %s, started_at = now(), attempt = 1, place = nextval('jobq.places') "
        "WHERE id <= 5",
        worker,
    )
    store.execute(
        "INSERT INTO jobq.claims (worker_id, job_ids) SELECT %s, array_agg(id) FROM jobq.jobs WHERE id <= 5", worker
    )
    store.execute("VACUUM ANALYZE jobq.jobs")
    return store


def explained(store: Any, name: str, **parameters: Any) -> dict[str, Any]:
    values = {key: sql.Literal(value).as_string(store.connection) for key, value in parameters.items()}
    text = statement(name, store.schema).decode()
    for key, value in values.items():
        text = text.replace(f"%({key})s", value)
    store.execute("SET jit = off")
    rows = store.connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {text}".encode()).fetchone()
    plan: dict[str, Any] = rows[0][0]["Plan"]
    return plan


LOOKS: dict[str, tuple[dict[str, Any], int]] = {
    "known_gates": ({"limit": 1000}, 60),
    "observe_gates": (
        {"gates": ["crm"], "jobs": WAITING_LIMIT, "lanes": GATE_LANES_LIMIT},
        WAITING_LIMIT + 12 * GATE_LANES_LIMIT,
    ),
    "observe_lanes": ({"gate": "crm", "jobs": LANE_LIMIT, "lanes": LANES_LIMIT}, (12 + EACH) * LANES_LIMIT),
    "observe_why_gate": ({"id": LANES + 1, "limit": JOBS_COUNTED, "lanes": LANES_COUNTED}, 12 * LANES_COUNTED),
}
"""Each look with its bounds, and the pages that it may go through: a few for each lane, and one for each job that it
counts, since a page that changed lately is looked at for each of its rows."""


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_at_a_crowded_gate_goes_along_one_index_over_few_pages(crowded: Any, name: str) -> None:
    parameters, most = LOOKS[name]
    plan = explained(crowded, name, **parameters)
    assert ways_into(plan, "jobs") <= {"jobs_gated", "jobs_pkey"}
    assert not [node for node in nodes(plan) if node["Node Type"] == "Sort" and node["Actual Rows"] > 2 * LANES_LIMIT]
    assert pages(plan) < most, f"{pages(plan)} pages"


def test_counts_stop_at_their_bounds(crowded: Any, database: Any) -> None:
    (gate,) = observe.gates(database)
    assert (gate.waiting, gate.lanes, gate.running) == (WAITING_LIMIT, GATE_LANES_LIMIT, 5)
    found = observe.gate(database, "crm")
    assert found.is_more
    assert max(lane.waiting for lane in found.lanes) <= LANE_LIMIT


def test_where_there_is_no_gate_the_question_is_two_probes(store: Any) -> None:
    store.execute("INSERT INTO jobq.jobs (job_class) SELECT 'shop.jobs.Work' FROM generate_series(1, 5000)")
    store.execute("ANALYZE jobq.jobs")
    plan = explained(store, "known_gates", limit=1000)
    assert ways_into(plan, "jobs") == {"jobs_gated"}
    assert pages(plan) < 10, f"{pages(plan)} pages"
