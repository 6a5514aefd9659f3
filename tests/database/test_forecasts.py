"""What a forecast reads: the queues, who works them, what comes in, and what is scheduled."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobq import observe
from jobq.store import metrics, workers
from jobq.store.database import Database


@pytest.fixture
def database(settings: Any) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


def start(store: Any, processes: int, *queues: str) -> None:
    workers.register(
        store.connection, store.schema, host="here", pid=processes, version="1", processes=processes,
        queues=list(queues), classes=[],
    )  # fmt: skip


def test_a_queue_has_the_processes_of_the_workers_that_work_it(store: Any, database: Database) -> None:
    start(store, 4, "mail")
    start(store, 2, "im*")
    start(store, 1)
    store.add_many(*[{"queue": "mail"}] * 50)
    store.add_many(*[{"queue": "imports"}] * 30)
    imports, mail = observe.forecasts(database)
    assert [(one.queue, one.due, one.processes) for one in (imports, mail)] == [("imports", 30, 3), ("mail", 50, 5)]
    (asked,) = observe.forecasts(database, ["mail"], processes=10)
    assert [one.processes for one in asked.outlooks] == [5, 10]
    first, second = (one.empty_in for one in asked.outlooks)
    assert first is not None
    assert second is not None
    assert second < first


def test_scheduled_jobs_count_that_are_due_before_it_is_empty(store: Any, database: Database) -> None:
    start(store, 1)
    store.add_many(*[{"queue": "mail"}] * 1200)  # a second each, since the class never ran
    store.add_many(*[{"queue": "mail", "delay": 900}] * 600)
    store.add_many(*[{"queue": "mail", "delay": 80_000}] * 600)
    (forecast,) = observe.forecasts(database)
    assert forecast.due == 1200
    assert forecast.outlooks[0].empty_in == pytest.approx(1800, rel=0.01)


def test_a_paused_queue_and_a_queue_that_is_asked_for_but_holds_nothing(store: Any, database: Database) -> None:
    store.add(queue="mail")
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now())")
    (paused,) = observe.forecasts(database)
    (empty,) = observe.forecasts(database, ["none"])
    assert (paused.text, empty.text) == ("paused: 1 job stays", "empty")


def test_what_is_wanted_keeps_up_with_what_came_in(store: Any, database: Database) -> None:
    """One truth: both are made from the same work."""
    start(store, 2)
    store.add_many(*[{"queue": "mail"}] * 600)
    wanted = observe.wanted_processes(database, ["mail"])["mail"]
    (forecast,) = observe.forecasts(database, ["mail"], processes=wanted)
    empty = forecast.outlooks[-1].empty_in
    assert empty is not None
    assert empty <= 600


def test_jobs_at_a_gate_are_wanted_no_more_processes_for_than_it_lets_through(store: Any, database: Database) -> None:
    """An autoscaler that saw no job there would stop the last worker."""
    start(store, 2)
    store.gate(max_running=3)
    for _ in range(50):
        store.add(queue="mail", gate="g", lane="")
    assert store.rows("SELECT jobq.wanted_processes('mail', interval '1 second')") == [(3,)]
    (forecast,) = observe.forecasts(database, ["mail"])
    assert (forecast.due, forecast.most, forecast.held_by) == (50, 3, "gate g")
    assert "more do not help: gate g is full" in forecast.text

    store.add_many(*[{"queue": "mail"}] * 5)
    assert store.rows("SELECT jobq.wanted_processes('mail', interval '1 second')") == [(8,)]
    assert observe.forecasts(database, ["mail"])[0].most is None

    store.execute("UPDATE jobq.gates SET paused_at = now()")
    assert store.rows("SELECT jobq.wanted_processes('mail', interval '1 second')") == [(5,)]


def test_a_level_counts_what_waits_at_gates(store: Any) -> None:
    store.gate()
    store.add(queue="mail", gate="g", lane="a")
    store.add(queue="mail", gate="g", lane="b", delay=900)
    store.add(queue="mail")
    metrics.take_levels(store.connection, store.schema)
    assert store.rows("SELECT queue, unfinished FROM jobq.levels") == [("mail", 3)]
