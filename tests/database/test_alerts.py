"""Alerts: told once when a need begins and once when it is over, whoever looks, and whatever fails on the way."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobq import observe, operate
from jobq.arguments import decode
from jobq.records import Alert, ClassRecord, ParameterRecord
from jobq.store import alerts
from jobq.store.database import Database

TELL = ClassRecord(
    "shop.jobs.Tell", (), (ParameterRecord("alert", "positional or keyword", "Alert", None, required=True),), None,
    options={"queue": "alerts", "priority": 0, "retries": 5, "unique_key": None, "timeout": None},
)  # fmt: skip


@pytest.fixture
def database(settings: Any) -> Iterator[Database]:
    opened = Database(replace(settings, alerts="shop.jobs.Tell"))
    yield opened
    opened.close()


@pytest.fixture
def fail(store: Any, report: Callable[..., Any]) -> Callable[[str], None]:
    """Has a job come to rest, in a group of failures."""
    worker = store.worker(classes=[TELL])

    def failed(group: str) -> None:
        store.add()
        (claimed,) = store.claim(worker)
        store.finish(worker, report(claimed, "errored", error_type="KeyError", fingerprint=group))

    return failed


def told(store: Any) -> list[Alert]:
    rows = store.rows("SELECT arguments::text FROM jobq.jobs WHERE job_class = 'shop.jobs.Tell' ORDER BY id")
    return [decode(row.arguments)["alert"] for row in rows]


def pass_time(store: Any, seconds: int) -> None:
    store.execute("UPDATE jobq.alerts SET seen_at = seen_at - %s * interval '1 second'", seconds)
    store.execute("UPDATE jobq.alerts SET since = since - %s * interval '1 second'", seconds)


def test_a_need_is_told_when_it_begins_and_when_it_is_over(store: Any, fail: Any, database: Database) -> None:
    fail("f00")
    operate.look_and_tell(database)
    operate.look_and_tell(database)
    (begun,) = told(store)
    (need,) = observe.needs_now(database)
    what = need.text.partition(",")[0]  # what follows is its age
    assert (begun.kind, begun.place, begun.is_over) == ("failed", "failures/f00", False)
    assert begun.text.startswith(what)
    store.execute("UPDATE jobq.results SET retried = true")
    operate.look_and_tell(database)
    assert len(told(store)) == 1, "it may be back in a moment"
    pass_time(store, 720)
    operate.look_and_tell(database)
    operate.look_and_tell(database)
    begun, over = told(store)
    assert over.is_over
    assert over.text.startswith(f"over after 12 minutes: {what}")
    assert store.rows("SELECT FROM jobq.alerts") == []


def test_a_need_that_comes_and_goes_is_told_once(store: Any, fail: Any, database: Database) -> None:
    fail("f00")
    for retried in (False, True, False, True, False):
        store.execute("UPDATE jobq.results SET retried = %s", retried)
        operate.look_and_tell(database)
        pass_time(store, 40)
    assert len(told(store)) == 1


def test_what_is_muted_is_not_told(store: Any, fail: Any, database: Database) -> None:
    fail("f00")
    operate.mute_failures(database, ["f00"])
    operate.look_and_tell(database)
    assert told(store) == []


def test_of_many_that_look_at_once_one_tells(store: Any, fail: Any, database: Database) -> None:
    for group in ("f00", "f01", "f02"):
        fail(group)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: operate.look_and_tell(database), range(8)))
    assert sorted(alert.place for alert in told(store)) == ["failures/f00", "failures/f01", "failures/f02"]


def test_a_turn_is_that_of_one_worker(store: Any) -> None:
    def take() -> bool:
        return alerts.take_turn(store.connection, store.schema, "alerts", seconds=24)

    assert [take(), take()] == [True, False]
    store.execute("UPDATE jobq.turns SET taken_at = taken_at - interval '25 seconds'")
    assert [take(), take()] == [True, False]
    store.execute("UPDATE jobq.turns SET taken_at = taken_at + interval '1 hour'")  # the clock was ahead
    assert take()


def test_a_class_that_no_worker_knows_is_named_and_told_later(
    store: Any, fail: Any, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    fail("f00")
    store.execute("UPDATE jobq.workers SET classes = '[]'")
    operate.look_and_tell(database)
    assert "shop.jobs.Tell" in caplog.text
    assert told(store) == []
    store.worker(pid=7, classes=[TELL])
    operate.look_and_tell(database)
    assert len(told(store)) == 1


def test_a_command_that_fails_is_run_again(
    store: Any, fail: Any, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail("f00")
    file = tmp_path / "told"
    for number, command in enumerate((f"cat >> {file}; exit 3", f"cat >> {file}", f"cat >> {file}"), 1):
        database = Database(replace(settings, alert_command=command))
        operate.look_and_tell(database)
        database.close()
        assert file.read_text().count("jobq tui failures/f00") == min(number, 2)
    assert "alert_command ended with exit code 3" in caplog.text


def test_what_is_over_before_it_was_told_is_not_told(store: Any, fail: Any, settings: Any) -> None:
    fail("f00")
    database = Database(replace(settings, alert_command="false"))
    operate.look_and_tell(database)
    store.execute("UPDATE jobq.results SET retried = true")
    pass_time(store, 90)
    operate.look_and_tell(database)
    database.close()
    assert store.rows("SELECT FROM jobq.alerts") == []
