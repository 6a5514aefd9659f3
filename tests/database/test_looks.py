"""Looks at long lists that are bounded: what they find, where they go on, and by which way PostgreSQL goes."""

from typing import Any

import pytest

from jobq import observe
from jobq.filters import parse
from jobq.observe import Position, looks
from jobq.observe.jobs import statement_of
from jobq.store.database import Database


@pytest.fixture(autouse=True)
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOK", 10)


@pytest.fixture
def many(store: Any, report: Any) -> list[int]:
    """25 finished jobs and 25 pending ones, numbered by their argument."""
    worker = store.worker()
    arguments = [{"arguments": f'{{"n": {number}, "customer": {{"id": {100 + number}}}}}'} for number in range(25)]
    store.add_many(*arguments)
    store.finish(worker, *map(report, store.claim(worker)))
    pending: list[int] = store.add_many(*arguments)
    return pending


def found(database: Database, text: str) -> list[tuple[list[Any], int | None]]:
    """What each look of a search found, and how many jobs it says it went through."""
    pages = []
    after = None
    while True:
        page = observe.search(database, parse(text), limit=200, after=after)
        pages.append(([job.arguments["n"] for job in page.jobs], page.looked))
        if (after := page.next) is None:
            return pages


@pytest.mark.parametrize("state", ["pending", "finished"])
def test_a_search_goes_on_where_its_last_look_ended_until_all_were_looked_at(
    many: list[int], database: Database, state: str
) -> None:
    pages = found(database, f"state:{state} args.n:0,12,24")
    assert [looked for _, looked in pages] == [10, 10, None]
    assert sorted(number for numbers, _ in pages for number in numbers) == [0, 12, 24]


@pytest.mark.parametrize("state", ["pending", "finished"])
def test_a_full_page_of_a_search_goes_on_below_its_last_job(many: list[int], database: Database, state: str) -> None:
    seen, after = [], None
    for _ in range(60):
        page = observe.search(database, parse(f"state:{state} class:*"), limit=3, after=after)
        seen += [job.id for job in page.jobs]
        if (after := page.next) is None:
            break
    assert len(seen) == len(set(seen)) == 25


def test_matches_are_counted_among_the_newest_and_say_so(many: list[int], database: Database) -> None:
    def matches(text: str) -> tuple[int, int | None]:
        counted = observe.matches(database, parse(text), limit=7)
        return counted.number, counted.looked

    assert matches("state:pending args.n:24") == (1, 10)
    assert matches("state:pending args.n:0") == (0, 10)
    assert matches("state:pending =124") == (1, 10)
    assert matches(f"id:{many[0]}") == (1, None)
    assert matches("state:pending") == (7, None)
    assert matches("state:finished since:1h") == (7, None)
    assert matches("state:running class:*") == (0, None)
    assert matches("state:scheduled queue:mail") == (0, 10)


def test_where_all_jobs_are_within_one_look_nothing_is_partial(
    many: list[int], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOK", 100)
    for state in ("pending", "finished"):
        assert observe.matches(database, parse(f"state:{state} args.n:0"), limit=7) == observe.Matches(1)
        assert found(database, f"state:{state} args.n:0") == [([0], None)]


def test_a_look_reads_the_index_of_the_order_between_its_ends(store: Any, database: Database) -> None:
    """Planned with statistics of tables that are long, where reading all of them would be tempting."""
    store.execute(
        "INSERT INTO jobq.jobs (job_class, arguments, queue) SELECT 'a.B', '{}', 'q' FROM generate_series(1, 20000)"
    )
    store.execute("ANALYZE jobq.jobs")
    (newest,) = store.connection.execute("SELECT max(id) FROM jobq.jobs").fetchone()
    selection = parse("state:pending args.n:1")
    text, parameters = statement_of(database.schema, "observe", selection, 201, None, Position(newest - 10))
    plan = store.connection.execute(b"EXPLAIN " + text, parameters).fetchall()
    lines = "\n".join(line for (line,) in plan)
    assert "Index Scan Backward using jobs_pkey on jobs" in lines
    assert f"Index Cond: (id >= '{newest - 10}'::bigint)" in lines
