"""How PostgreSQL goes about the hot statements when the tables are large: along one index, over few pages.

Each plan is the generic one that a worker's connection keeps, made while the tables were still empty.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from psycopg import sql

from jobq.store import workers
from jobq.store.statements import statement

Node = dict[str, Any]

SCHEDULED, BUSY, UNWORKED, RUNNING = 20_000, 20_000, 10_000, 1_000


class Planned:
    """A statement as the worker's connection prepared it."""

    def __init__(self, store: Any, name: str, parameters: Mapping[str, Any]) -> None:
        self.store = store
        self.name = name
        self.parameters: list[str] = []
        numbered = re.sub(r"%\((\w+)\)s", self._number, statement(name, store.schema).decode()).replace("%%", "%")
        store.connection.execute(f"PREPARE {name} AS {numbered}".encode())
        self.plan(**parameters)

    def _number(self, placeholder: re.Match[str]) -> str:
        if placeholder[1] not in self.parameters:
            self.parameters.append(placeholder[1])
        return f"${self.parameters.index(placeholder[1]) + 1}"

    def plan(self, **parameters: Any) -> Node:
        return self._explain("FORMAT JSON", parameters)

    def run(self, **parameters: Any) -> Node:
        """The plan with what it did: the statement is executed."""
        return self._explain("ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON", parameters)

    def _explain(self, options: str, parameters: Mapping[str, Any]) -> Node:
        values = sql.SQL(", ").join(sql.Literal(parameters[name]) for name in self.parameters)
        query = sql.SQL("EXPLAIN ({}) EXECUTE {}").format(sql.SQL(options), sql.Identifier(self.name))
        if self.parameters:
            query += sql.SQL("({})").format(values)
        (explained,) = self.store.connection.execute(query).fetchone()
        plan: Node = explained[0]["Plan"]
        return plan


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def ways_into(plan: Node, table: str) -> set[str]:
    """By which index each part of a plan reads a table; a scan of another kind by its name."""
    return {
        node.get("Index Name", node["Node Type"])
        for node in nodes(plan)
        if node.get("Relation Name") == table and node["Node Type"] not in ("ModifyTable",)
    }


def pages(plan: Node) -> int:
    """How many pages a statement went through."""
    touched: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def claim_from(*queues: str, most: int = 10, from_id: int = 0, priority: int = 32767) -> dict[str, Any]:
    return {
        "over": [],
        "worker_id": 1,
        "queues": list(queues),
        "from_priorities": [priority] * len(queues),
        "from_ids": [from_id] * len(queues),
        "last_turns": [0] * len(queues),
        "classes": ["shop.jobs.Work"],
        "share": most,
        "most": most,
    }


def reports_on(*ids: int) -> dict[str, Any]:
    count = len(ids)
    return {
        "worker_id": 1,
        "channel": "c",
        "ids": list(ids),
        "attempts": [1] * count,
        "outcomes": ["successful"] * count,
        "start_ages": [1.0] * count,
        "end_ages": [0.5] * count,
        "values": ["1"] * count,
        "error_types": [""] * count,
        "error_messages": [""] * count,
        "tracebacks": [""] * count,
        "fingerprints": [""] * count,
        "frames": [""] * count,
        "delays": [0.0] * count,
        "excuses": [0] * count,
        "losses": [0] * count,
        "cpu_microseconds": [100_000] * count,
        "peak_memories": [1000] * count,
        "aborted": [False] * count,
        "waits": [0] * count,
    }


RESCUE = {"limit": 1000, "max_losses": 3, "spread": 0.0, "channel": "c"}
PROMOTE = {"limit": 1000, "channel": "c", "worker_id": 1, "known": []}


def fill(store: Any) -> None:
    """Work waiting in a busy queue, more in one that nobody works, more still for next week, and some running."""
    for count, values in (
        (SCHEDULED, "'busy', 100, false, now() + interval '7 days' + n * interval '1 s', NULL, NULL, 0"),
        (BUSY, "'busy', n % 3, true, now(), NULL, NULL, 0"),
        (UNWORKED, "'unworked', 50, true, now(), NULL, NULL, 0"),
        (RUNNING, "'busy', 0, true, now(), 1, now(), 1"),
    ):
        store.execute(
            "INSERT INTO jobq.jobs (job_class, queue, priority, is_due, run_at, worker_id, started_at, attempt) "
            f"SELECT 'shop.jobs.Work', {values} FROM generate_series(1, {count}) AS n"
        )
    workers.note_claims(store.connection, store.schema)


@pytest.fixture
def worker(store: Any) -> int:
    worker: int = store.worker()
    assert worker == 1
    return worker


def test_a_claim_walks_the_index_of_pending_jobs_in_its_order(store: Any, worker: int) -> None:
    claim = Planned(store, "claim", claim_from("busy"))
    fill(store)
    plan = claim.plan(**claim_from("busy"))
    assert ways_into(plan, "jobs") == {"jobs_due", "jobs_pkey"}
    (walk,) = [node for node in nodes(plan) if node["Node Type"] == "LockRows"]
    assert "Sort" not in {node["Node Type"] for node in nodes(walk)}, "the order is that of the index"


def test_a_claim_touches_few_pages_however_much_waits(store: Any, worker: int) -> None:
    """Neither next week's jobs nor those of a queue that nobody works are in its way."""
    claim = Planned(store, "claim", claim_from("busy"))
    fill(store)
    claimed = claim.run(**claim_from("busy"))
    assert claimed["Actual Rows"] == 10
    assert pages(claimed) < 300


def test_a_claim_that_resumes_does_not_wade_through_dead_entries(store: Any, worker: int) -> None:
    """They pile up at the front of the queue while a transaction is open elsewhere in the database."""
    claim = Planned(store, "claim", claim_from("busy"))
    with store.another() as elsewhere, elsewhere.connection.transaction():
        elsewhere.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        elsewhere.rows("SELECT 1")
        fill(store)
        store.execute("UPDATE jobq.jobs SET priority = 0 WHERE queue = 'busy' AND state = 'pending'")
        (middle,) = store.rows(
            "SELECT id FROM jobq.jobs WHERE queue = 'busy' AND state = 'pending' ORDER BY id OFFSET 15000 LIMIT 1"
        )
        store.execute("DELETE FROM jobq.jobs WHERE queue = 'busy' AND state = 'pending' AND id < %s", middle.id)
        resumed = claim.run(**claim_from("busy", priority=0, from_id=middle.id))
        from_front = claim.run(**claim_from("busy"))
    assert resumed["Actual Rows"] == from_front["Actual Rows"] == 10
    assert pages(resumed) < 300 < 1000 < pages(from_front)


def test_queues_that_are_known_and_what_live_workers_ran_are_not_waded_through(store: Any, worker: int) -> None:
    queues = Planned(store, "promote", PROMOTE)
    rescue = Planned(store, "rescue", RESCUE)
    with store.another() as elsewhere, elsewhere.connection.transaction():
        elsewhere.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        elsewhere.rows("SELECT 1")
        fill(store)
        store.execute("DELETE FROM jobq.jobs WHERE queue = 'busy' AND is_due")
        found = queues.run(**PROMOTE | {"known": ["busy"]})
        rescued = rescue.run(**RESCUE)
        wading = queues.run(**PROMOTE)
    assert pages(found) < 100 < 500 < pages(wading)
    assert pages(rescued) < 100


@pytest.mark.parametrize("name", ["finish", "finish_plain", "retry", "give_back"])
def test_attempts_end_by_the_primary_key(name: str, store: Any, worker: int) -> None:
    ending = Planned(store, name, reports_on(1))
    fill(store)
    ids = [row.id for row in store.rows("SELECT id FROM jobq.jobs WHERE state = 'running' ORDER BY id LIMIT 20")]
    assert ways_into(ending.plan(**reports_on(*ids)), "jobs") == {"jobs_pkey"}
    assert pages(ending.run(**reports_on(*ids))) < 1500
    (left,) = store.rows("SELECT count(*) AS n FROM jobq.jobs WHERE state = 'running'")
    assert left.n == RUNNING - 20


def test_due_jobs_are_found_by_their_time_and_queues_by_a_step_of_the_index_each(store: Any, worker: int) -> None:
    promote = Planned(store, "promote", PROMOTE)
    fill(store)
    ways = ways_into(promote.plan(**PROMOTE), "jobs")
    assert ways == {"jobs_scheduled", "jobs_pkey", "jobs_expiring", "jobs_due", "jobs_gated"}
    assert pages(promote.run(**PROMOTE)) < 150, "nothing is due"


def test_orphans_are_found_among_what_is_running(store: Any, worker: int) -> None:
    rescue = Planned(store, "rescue", RESCUE)
    fill(store)
    ways = ways_into(rescue.plan(**RESCUE), "jobs")
    assert ways == {"jobs_pkey"}, "never all jobs"


def test_what_a_worker_holds_is_found_by_its_claims(store: Any, worker: int) -> None:
    held = Planned(store, "claimed", {"worker_id": 1, "through_gates": False})
    fill(store)
    assert ways_into(held.plan(worker_id=1, through_gates=False), "jobs") == {"jobs_pkey"}


def test_jobs_are_cancelled_by_the_primary_key(store: Any, worker: int) -> None:
    parameters = {"ids": [1, 2, 3], "attempts": [0, 1, None], "cancelled_by": "ada", "act": None}
    cancel = Planned(store, "cancel", parameters)
    fill(store)
    assert ways_into(cancel.plan(**parameters), "jobs") == {"jobs_pkey"}


def test_the_last_attempt_of_a_job_is_found_by_its_id_in_every_day(store: Any, worker: int) -> None:
    parameters = {"ids": [1, 2, 3], "attempts": [1, 2, None], "channel": "c"}
    retry = Planned(store, "retry_by_hand", parameters)
    for node in nodes(retry.plan(**parameters)):
        if str(node.get("Relation Name", "")).startswith("results_"):
            assert node["Node Type"] in ("Index Scan", "ModifyTable"), node


@pytest.mark.parametrize(
    ("name", "parameters", "index"),
    [
        ("wanted", {"worker_id": 1}, "jobs_cancel_requested"),
        ("expire", {"limit": 1000}, "jobs_expiring"),
    ],
)
def test_what_is_to_stop_or_expires_is_found_without_going_through_what_does_not(
    name: str, parameters: dict[str, Any], index: str, store: Any, worker: int
) -> None:
    look = Planned(store, name, parameters)
    fill(store)
    assert index in ways_into(look.plan(**parameters), "jobs")
    assert pages(look.run(**parameters)) < 20, "there is nothing of the kind"


def test_groups_of_failures_are_counted_from_their_index_alone(store: Any, worker: int) -> None:
    parameters = {"since": "2000-01-01", "until": "2100-01-01", "limit": 50, "step": 3600.0}
    failures = Planned(store, "observe_failures", parameters)
    (counted,) = [node for node in nodes(failures.plan(**parameters)) if node.get("Subplan Name") == "CTE grouped"]
    scans = [node for node in nodes(counted) if str(node.get("Relation Name", "")).startswith("results_")]
    assert scans
    for scan in scans:
        assert scan["Node Type"] == "Index Only Scan", scan
        assert "fingerprint" in scan["Index Name"]


def test_the_counts_between_the_steps_of_a_chart_are_not_read(store: Any) -> None:
    store.execute(
        "INSERT INTO jobq.levels (minute, queue, unfinished) "
        "SELECT date_trunc('minute', now()) - n * interval '1 minute', 'mail', n FROM generate_series(1, 40000) AS n"
    )
    (period,) = store.rows("SELECT now() - interval '27 days' AS since, now() AS until")
    parameters = {"since": period.since, "until": period.until, "step": 39_000.0, "queue": None}
    levels = Planned(store, "observe_levels", parameters).run(**parameters)
    assert 55 <= levels["Actual Rows"] <= 65
    assert pages(levels) < 600


def test_where_jobs_stand_is_found_by_their_ids_and_the_history_is_asked_about_the_ended_only(
    store: Any, worker: int
) -> None:
    looks = {"ids": [1, 2, 3]}
    states = Planned(store, "observe_states", looks)
    fill(store)
    (running,) = store.rows("SELECT array_agg(id) AS ids FROM (SELECT id FROM jobq.jobs LIMIT 100) AS jobs")
    looked = states.run(ids=running.ids)
    assert looked["Actual Rows"] == 100
    assert ways_into(looked, "jobs") == {"jobs_pkey"}
    assert pages(looked) < 500
    history = [node for node in nodes(looked) if node.get("Relation Name", "").startswith("results")]
    assert history
    assert all(node["Actual Loops"] == 0 for node in history)


def test_claims_stay_on_their_page(store: Any, worker: int, report: Any) -> None:
    """PostgreSQL then writes no index entry for them: see migration 0001."""
    store.execute("INSERT INTO jobq.jobs (job_class) SELECT 'shop.jobs.Work' FROM generate_series(1, 2000)")
    with store.connection.transaction():
        while claimed := store.claim(worker, most=100):
            store.finish(worker, *map(report, claimed))
        (done,) = store.rows(
            "SELECT pg_stat_get_xact_tuples_hot_updated(oid) AS hot, pg_stat_get_xact_tuples_updated(oid) AS updated "
            "FROM pg_class WHERE oid = 'jobq.jobs'::regclass"
        )
    assert done.updated == 2000
    assert done.hot >= 0.95 * done.updated


def test_no_index_of_jobs_mentions_what_a_claim_changes(store: Any) -> None:
    mentioned = store.rows(
        "SELECT DISTINCT attname FROM pg_depend "
        "JOIN pg_index ON indexrelid = objid AND classid = 'pg_class'::regclass "
        "JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid "
        "WHERE indrelid = 'jobq.jobs'::regclass AND refobjid = indrelid AND refclassid = 'pg_class'::regclass"
    )
    names = {row.attname for row in mentioned}
    assert {"id", "is_due", "queue", "cancel_requested_at"} <= names, "predicates count, too"
    assert not names & {"worker_id", "attempt", "started_at", "state"}


def test_whether_a_worker_waits_is_known_without_reading_those_that_have_stopped(store: Any, worker: int) -> None:
    """Thousands of them are kept, and each enqueue asks."""
    store.execute(
        "INSERT INTO jobq.workers (host, pid, version, processes, queues, stopped_at) "
        "SELECT 'here', n, '1', 1, '{}', now() FROM generate_series(1, 2000) AS n"
    )
    store.execute("ANALYZE jobq.workers")
    asked = Planned(store, "wake", {"channel": "none", "queues": ["mail"]}).plan(channel="none", queues=["mail"])
    assert ways_into(asked, "workers") == {"workers_alive"}
