"""Lists in the order of a column: all jobs where an index has that order, else the newest, and the list says so."""

from typing import Any

import pytest

from jobq import observe
from jobq.filters import parse
from jobq.observe import Order, orders
from jobq.observe.orders import COLUMNS
from jobq.store.database import Database


@pytest.fixture
def many(store: Any, report: Any) -> dict[str, list[int]]:
    """12 finished jobs, 12 pending ones and 12 scheduled ones, each later one due sooner; their queues in turns."""
    worker = store.worker()
    finished = store.add_many(*({"queue": f"q{number % 3}", "priority": number % 5} for number in range(12)))
    store.finish(worker, *map(report, store.claim(worker, ["q0", "q1", "q2"])))
    pending = store.add_many(*({"queue": f"q{number % 3}", "priority": number % 5} for number in range(12)))
    scheduled = [store.add(queue=f"q{number % 3}", delay=600 - number) for number in range(12)]
    return {"finished": finished, "pending": pending, "scheduled": scheduled}


def listed(database: Database, text: str, order: Order, limit: int = 5) -> tuple[list[Any], set[int | None]]:
    """All jobs of a list, a page after the other, and of how many it says that they are sorted."""
    jobs: list[Any] = []
    counts = set()
    after = None
    while True:
        page = observe.sorted_page(database, parse(text), order, limit=limit, after=after)
        jobs += page.jobs
        counts.add(page.sorted)
        if (after := page.next) is None:
            return jobs, counts


@pytest.mark.parametrize("is_falling", [True, False])
@pytest.mark.parametrize(
    ("text", "column"),
    [("state:finished", "ended_at"), ("state:scheduled", "run_at"), ("state:pending", "id"), ("", "id")],
)
def test_all_jobs_come_in_the_order_of_an_index(
    many: dict[str, list[int]], database: Database, text: str, column: str, is_falling: bool, store: Any
) -> None:
    jobs, counts = listed(database, text, Order(column, is_falling))
    assert {job.id for job in jobs} == set(many.get(text.removeprefix("state:"), many["pending"] + many["scheduled"]))
    keys = [(getattr(job, column), job.id) for job in jobs]
    assert keys == sorted(keys, reverse=is_falling)
    assert counts == {None}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("state", ["finished", "pending", "running"])
def test_a_list_is_sorted_by_every_column(
    many: dict[str, list[int]], database: Database, column: str, state: str
) -> None:
    if column in ("ended_at", "ran", "outcome") and state != "finished":
        pytest.skip("a column of the history only")
    jobs, _ = listed(database, f"state:{state} class:*", Order(column, is_falling=False))
    assert sorted(job.id for job in jobs) == sorted(many.get(state, []))


def test_only_the_newest_are_sorted_by_a_column_that_no_index_has_and_the_page_says_so(
    many: dict[str, list[int]], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, counts = listed(database, "state:pending", Order("queue", is_falling=True))
    assert [job.queue for job in jobs] == ["q2"] * 4 + ["q1"] * 4 + ["q0"] * 4
    assert counts == {None}
    monkeypatch.setattr(orders, "MAX_SORTED", 6)
    jobs, counts = listed(database, "state:pending", Order("priority", is_falling=True))
    assert {job.id for job in jobs} == set(many["pending"][6:])
    assert [job.priority for job in jobs] == sorted((job.priority for job in jobs), reverse=True)
    assert counts == {6}


def test_of_some_jobs_those_are_read_again_that_are_still_in_the_list(
    many: dict[str, list[int]], database: Database, store: Any
) -> None:
    pending = [(job_id, None) for job_id in many["pending"][:3]]
    store.cancel(many["pending"][1])
    assert {job.id for job in observe.among(database, parse("state:pending"), pending)} == {
        many["pending"][0],
        many["pending"][2],
    }
    ended = [(job.id, job.ended_at) for job in observe.list_jobs(database, parse("state:finished")).jobs[:4]]
    found = observe.among(database, parse("state:finished"), ended)
    assert {job.id for job in found} == {job_id for job_id, _ in ended}
    assert observe.among(database, parse("state:finished"), []) == ()


def test_a_list_in_the_order_of_an_index_is_read_along_it(store: Any, database: Database) -> None:
    store.execute(
        "INSERT INTO jobq.jobs (job_class, queue, is_due, run_at) "
        "SELECT 'a.B', 'q', false, now() + n * interval '1 s' FROM generate_series(1, 20000) AS n"
    )
    store.execute("ANALYZE jobq.jobs")
    selection = parse("state:scheduled")
    condition, parameters = orders.listed(selection, database.schema)
    parts = {"moment": "run_at", "order": "run_at DESC, id DESC"}
    text = orders.put("observe_ordered", database.schema, selection, condition, parts)
    plan = store.connection.execute(b"EXPLAIN " + text, parameters | {"limit": 201}).fetchall()
    lines = "\n".join(line for (line,) in plan)
    assert "Index Scan Backward using jobs_scheduled on jobs" in lines
