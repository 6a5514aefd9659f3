"""The clock that tests move: everything in the database that depends on the time follows it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jobq import Job, Schedule, enqueue_many, register_job, register_schedule
from jobq.errors import UsageError
from jobq.registry import Registry, registry
from jobq.settings import Settings
from jobq.store import control, enqueueing, history, schedules, workers
from jobq.store.database import Database
from jobq.testing import Clock, Databases, assert_enqueued, refute_enqueued, run_due_jobs, used

BERLIN = ZoneInfo("Europe/Berlin")


@register_job
class Works(Job):
    def __init__(self, text: str = "") -> None:
        self.text = text

    def run(self) -> str:
        return self.text


@register_job
class FailsOnce(Job):
    def run(self) -> None:
        if self.job.attempt == 1:
            raise LookupError("not yet")

    def get_retries(self) -> int:
        return 1

    def get_retry_delay(self, attempt: int) -> float:
        return 3600


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    with Clock() as clock:
        yield clock


@pytest.fixture
def no_schedules(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry, without the schedules of other modules."""
    monkeypatch.setattr(registry, "_scheduled", {})
    return registry


def values(**options: Any) -> list[Any]:
    return [attempt.value for attempt in run_due_jobs(**options)]


def catalogue(connection: psycopg.Connection[Any]) -> list[Any]:
    """All defaults and functions of the schema, as they are defined."""
    return connection.execute(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef "
        "UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace ORDER BY 1"
    ).fetchall()


def test_a_delay_is_over_when_the_clock_has_moved_past_it(clock: Clock) -> None:
    Works("a").run_in_worker(delay=7200)
    assert values() == []
    clock.advance(hours=1, minutes=59)
    assert values() == []
    clock.advance(timedelta(minutes=1))
    assert values() == ["a"]


def test_a_job_for_a_certain_time_is_due_at_that_time(clock: Clock) -> None:
    moment = datetime(2040, 1, 1, 9, tzinfo=BERLIN)
    Works("new year").run_in_worker(delay=moment)
    clock.move_to(moment - timedelta(minutes=1))
    assert values() == []
    clock.move_to(moment)
    assert values() == ["new year"]
    assert timedelta(0) <= clock.now() - moment < timedelta(minutes=1)


def test_a_retry_waits_for_its_delay_by_the_clock(clock: Clock) -> None:
    FailsOnce().run_in_worker()
    assert [attempt.outcome for attempt in run_due_jobs(raise_errors=False)] == ["errored"]
    clock.advance(minutes=59)
    assert run_due_jobs() == []
    clock.advance(minutes=1)
    assert [attempt.outcome for attempt in run_due_jobs()] == ["successful"]


def test_a_job_expires_by_the_clock_and_lets_go_of_its_unique_key(clock: Clock, store: Any) -> None:
    assert Works("late").run_in_worker(delay=60, expires=3600, unique_key="one") is not None
    assert Works("other").run_in_worker(unique_key="one") is None
    clock.advance(hours=2)
    assert run_due_jobs() == []
    assert [(result.outcome, result.error_type) for result in store.results()] == [("cancelled", "Expired")]
    assert Works("other").run_in_worker(unique_key="one") is not None


@pytest.mark.parametrize("count", [1, 3, enqueueing.LEAST_TO_COPY])
def test_all_times_of_a_new_job_are_by_the_clock(clock: Clock, store: Any, count: int) -> None:
    moment = datetime(2041, 5, 5, tzinfo=UTC)
    clock.move_to(moment)
    enqueue_many([Works(str(number)) for number in range(count)])
    for job in store.unfinished():
        assert job.state == "pending"
        assert moment <= job.enqueued_at <= moment + timedelta(minutes=1)
        assert moment <= job.run_at <= moment + timedelta(minutes=1)
    run_due_jobs()
    for result in store.results():
        assert moment <= result.started_at <= result.ended_at <= moment + timedelta(minutes=1)


def test_what_sql_enqueues_is_by_the_clock_too(clock: Clock, store: Any) -> None:
    clock.move_to(datetime(2041, 5, 5, tzinfo=UTC))
    store.rows("SELECT jobq.enqueue(%s, delay => interval '1 hour')", f"{__name__}.Works")
    (job,) = store.unfinished()
    assert job.enqueued_at.year == job.run_at.year == 2041
    assert_enqueued(Works, delay_between=(3600, 3600))
    clock.advance(hours=1)
    assert len(run_due_jobs()) == 1


def test_a_worker_falls_silent_by_the_clock(clock: Clock, store: Any) -> None:
    worker_id = store.worker()

    def silent() -> list[int]:
        beats = control.wanted(store.connection, "jobq", worker_id=worker_id).beats
        return [worker.id for worker in workers.silence(store.connection, "jobq", beats, timeout=3600).silenced]

    assert silent() == []
    clock.advance(hours=2)
    assert workers.heartbeat(store.connection, "jobq", worker_id=worker_id, status={}) is not None
    assert silent() == []
    clock.advance(hours=2)
    assert silent() == [worker_id]


def test_ticks_fire_when_the_clock_has_moved_past_them(clock: Clock, no_schedules: Registry) -> None:
    no_schedules.add(Works)
    register_schedule("hourly", Works("tick"), "0 * * * *")
    clock.move_to(datetime(2040, 1, 1, 8, 30, tzinfo=UTC))
    assert values(with_schedules=True) == [], "declared, and not due yet"
    clock.advance(minutes=29)
    assert values(with_schedules=True) == []
    clock.advance(minutes=1, seconds=1)
    assert values(with_schedules=True) == ["tick"]
    assert values(with_schedules=True) == [], "each tick once"
    clock.advance(hours=5)
    assert values(with_schedules=True) == ["tick"], "one job for all that were missed"
    assert values() == [], "only where it is asked for"


def test_ticks_follow_the_change_to_summer_time(clock: Clock, no_schedules: Registry, store: Any) -> None:
    register_schedule("daily", Works("tick"), Schedule.from_cron("30 9 * * *", timezone="Europe/Berlin"))
    clock.move_to(datetime(2040, 3, 23, 12, tzinfo=BERLIN))  # the clocks change on the 25th
    assert values(with_schedules=True, until=3.5 * 86400) == ["tick"] * 3
    ticks = [tick.tick_at for tick in store.rows("SELECT tick_at FROM jobq.ticks ORDER BY tick_at")]
    assert [tick.astimezone(BERLIN).strftime("%d %H:%M") for tick in ticks] == ["24 09:30", "25 09:30", "26 09:30"]
    assert [later - earlier for earlier, later in pairwise(ticks)] == [
        timedelta(hours=23),
        timedelta(hours=24),
    ]


def test_a_tick_that_the_clock_is_moved_past_is_missed_as_it_would_be(
    clock: Clock, no_schedules: Registry, store: Any
) -> None:
    register_schedule("skips", Works("tick"), Schedule.from_cron("0 9 * * *", missed="skip"))
    clock.move_to(datetime(2040, 1, 1, 8, tzinfo=UTC))
    run_due_jobs(with_schedules=True)
    clock.advance(hours=3)
    assert values(with_schedules=True) == []
    assert [tick.verdict for tick in store.rows("SELECT verdict FROM jobq.ticks")] == ["missed"]


def test_with_a_clock_in_place_the_time_that_passed_stays(clock: Clock) -> None:
    before = clock.now()
    Works("a").run_in_worker(delay=600)
    assert values(until=3600) == ["a"]
    assert timedelta(seconds=3600) <= clock.now() - before < timedelta(seconds=3660)


def test_without_a_clock_the_time_is_the_real_one_again(database: Database, store: Any) -> None:
    Works("a").run_in_worker(delay=600)
    assert values(until=math.inf) == ["a"]
    Works("b").run_in_worker()
    (job,) = store.unfinished()
    assert abs(job.enqueued_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_clock_goes_on_by_itself(clock: Clock, eventually: Any) -> None:
    clock.advance(hours=1)
    first = clock.now()
    eventually(lambda: clock.now() > first)


def test_the_clock_never_goes_back_unless_it_is_reset(clock: Clock) -> None:
    real = clock.now()
    clock.advance(days=2)
    with pytest.raises(ValueError, match="goes forward only"):
        clock.advance(hours=-1)
    with pytest.raises(ValueError, match="goes forward only"):
        clock.move_to(real)
    assert clock.now() - real >= timedelta(days=2)
    clock.reset()
    assert clock.now() - real < timedelta(minutes=5)


def test_a_naive_time_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="time zone"):
        clock.move_to(datetime(2040, 1, 1))  # noqa: DTZ001 - the naive one is the point


def test_a_clock_leaves_the_schema_as_it_was(database: Database, connection: psycopg.Connection[Any]) -> None:
    before = catalogue(connection)
    with Clock() as clock:
        assert catalogue(connection) != before
        clock.advance(hours=1)
    assert catalogue(connection) == before


def test_everything_that_reads_the_time_is_found(clock: Clock, connection: psycopg.Connection[Any]) -> None:
    readers = [code for (code,) in catalogue(connection) if "_timestamp()" in code or "now()" in code]
    assert all("test_clock" in code or "migrations" in code or code == "now()" for code in readers), readers
    assert [code for code in readers if "jobq.test_clock()" in code]


def test_there_is_one_clock_at_a_time(clock: Clock) -> None:
    with pytest.raises(RuntimeError, match="one at a time"), Clock():
        pass
    clock.advance(hours=1)


def test_a_clock_that_is_not_in_place_says_so(database: Database) -> None:
    with pytest.raises(RuntimeError, match="with Clock"):
        Clock().advance(hours=1)


def test_a_transaction_that_holds_the_tables_is_named_as_the_reason(
    database: Database, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    before = catalogue(connection)
    with psycopg.connect(database_url) as other:
        Works("uncommitted").run_in_worker(connection=other)
        with pytest.raises(UsageError, match="Another transaction holds"), Clock():
            pass
    assert catalogue(connection) == before
    with Clock() as clock:
        clock.advance(hours=1)


def test_a_clock_works_in_a_transaction_that_is_rolled_back(
    database: Database, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    before = catalogue(connection)
    with psycopg.connect(database_url) as own:
        with Clock(connection=own) as clock:
            Works("a").run_in_worker(delay=3600)
            assert values() == []
            clock.advance(hours=1)
            assert values() == ["a"]
            Works("b").run_in_worker()
            with pytest.raises(psycopg.errors.DivisionByZero):
                own.execute("SELECT 1 / 0")
        own.rollback()
    refute_enqueued(Works)
    assert catalogue(connection) == before


def test_the_schema_may_have_any_name(server: str) -> None:
    named = replace(Settings(), schema='Their "own" 100%')
    with Databases.on(server, named) as found, found.new() as settings, used(settings), Clock() as clock:
        Works("a").run_in_worker(delay=3600)
        clock.advance(hours=1)
        assert values() == ["a"]


def test_forgetting_history_is_left_to_the_real_time(clock: Clock, store: Any) -> None:
    """Partitions are made and dropped by the real day; what a moved clock records lies in the default one."""
    clock.move_to(datetime(2040, 1, 1, tzinfo=UTC))
    Works("a").run_in_worker()
    run_due_jobs()
    history.make_partitions(store.connection, "jobq")
    assert [result.ended_at.year for result in store.results()] == [2040]
    assert schedules.next_ticks(store.connection, "jobq") == []
