"""Lines of jobs in the database: what is kept, for how long, who may follow them, and the bounds of all that."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from test_roles import granted

from jobq import observe, operate
from jobq.records import LogPart
from jobq.runtime import log_keeper
from jobq.runtime.log_keeper import LogKeeper
from jobq.runtime.ownership import Ownership
from jobq.store import history, logs
from jobq.store.database import Database
from jobq.store.rights import OPERATOR, READER


def part(job_id: int, *messages: str, first: int = 0, attempt: int = 1, level: int = 20) -> LogPart:
    numbers = range(first, first + len(messages))
    lines = [json.dumps([number, 5, level, "shop", text]) for number, text in zip(numbers, messages, strict=True)]
    said = first + len(messages)
    return LogPart(job_id, attempt, "shop.Ship", "mail", monotonic() - 2, said, level, "\n".join(lines))


def add(store: Any, *parts: LogPart) -> None:
    logs.add(store.connection, store.schema, worker_id=1, parts=parts, now=monotonic())


@pytest.fixture
def keeper(store: Any) -> Iterator[LogKeeper]:
    keeper = LogKeeper(Database(store.settings), Ownership(store.worker()))
    yield keeper
    keeper.stop(10)


def kept(store: Any) -> list[Any]:
    return list(store.rows("SELECT job_id, said, lines FROM jobq.logs ORDER BY job_id, said"))


def test_lines_say_when_they_were_said_by_the_clock_of_the_database(store: Any, database: Database) -> None:
    add(store, part(7, "one", "two"), part(7, "three", first=2), part(8, "other"))
    log = observe.attempt_log(database, 7, 1)
    assert [line.message for line in log.lines] == ["one", "two", "three"]
    ((now,),) = store.rows("SELECT statement_timestamp()")
    assert timedelta(seconds=1) < now - log.lines[0].at < timedelta(seconds=60)
    assert [count.said for count in observe.log_counts(database, 7)] == [3]


def test_what_was_sent_twice_is_shown_once_and_gaps_are_counted(store: Any, database: Database) -> None:
    add(store, part(7, "one", "two"))
    add(store, part(7, "two", "three", first=1), part(7, "ten", first=9)._replace(said=12))
    log = observe.attempt_log(database, 7, 1)
    shown = [one.lines if isinstance(one, observe.LeftOut) else one.message for one in log.entries]
    assert shown == ["one", "two", "three", 6, "ten", 2]


def test_a_day_of_lines_is_made_and_dropped_with_its_results(store: Any) -> None:
    def days(table: str) -> set[str]:
        query = "SELECT right(inhrelid::regclass::text, 8) FROM pg_inherits WHERE inhparent = %s::regclass"
        return {day for (day,) in store.rows(query, f"jobq.{table}")} - {"_default"}

    assert days("logs") == days("results") != set()
    store.execute(
        "INSERT INTO jobq.logs (at, began_at, job_id, attempt, said, level, job_class, queue, lines) "
        "VALUES (now() - interval '40 days', now(), 1, 1, 1, 20, 'a', 'b', ''), "
        "(now() - interval '90 days', now(), 2, 1, 1, 20, 'a', 'b', '')"
    )
    ((old,),) = store.rows("SELECT (now() - interval '40 days')::date")
    history.make_partition(store.connection, store.schema, old)
    assert store.rows("SELECT job_id FROM jobq.logs_default") == [(2,)], "what was caught has moved"
    dropped = history.drop_old_partitions(store.connection, store.schema, keep_days=30)
    assert dropped == [old]
    assert days("logs") == days("results")
    assert store.rows("SELECT FROM jobq.logs") == []


def test_a_worker_keeps_lines_and_drops_those_of_a_success(
    store: Any, keeper: LogKeeper, eventually: Callable[..., Any]
) -> None:
    keeper.add(part(7, "one"))
    keeper.add(part(8, "two"))
    eventually(lambda: len(kept(store)) == 2)
    keeper.drop(7, 1)
    eventually(lambda: [row.job_id for row in kept(store)] == [8])
    eventually(lambda: not keeper.has_to_write)


def test_what_is_too_much_is_left_out_and_counted(
    store: Any, keeper: LogKeeper, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "MAX_WAITING_BYTES", 100_000)
    monkeypatch.setattr(log_keeper, "BYTES_PER_SECOND", 100_000_000)
    keeper._is_started = True  # it does not write yet
    for number in range(100):
        keeper.add(part(number, *["x" * 100] * 50))
    assert keeper._waiting_bytes <= 200_000, "however much a job says"
    keeper.start()
    eventually(lambda: not keeper.has_to_write)
    rows = kept(store)
    assert [row.job_id for row in rows] == list(range(100)), "each is counted …"
    assert {row.said for row in rows} == {50}
    whole = [row for row in rows if row.lines]
    assert 0 < len(whole) < 30, "… and few are whole"


def test_a_worker_sends_no_more_than_so_many_bytes_a_second(
    store: Any, keeper: LogKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "BYTES_PER_SECOND", 1)
    keeper._is_started = True
    for number in range(30):
        keeper.add(part(number, *["x" * 1000] * 60))
    waits = [keeper.tick(store.connection) for _ in range(8)]
    sent = sum(len(row.lines) for row in kept(store))
    assert 1_000_000 < sent < 1_600_000, "what may go out at once, and the piece that crossed it"
    assert waits[-1] is not None
    assert waits[-1] > 0.5
    keeper.on_stopping(store.connection)
    assert len(kept(store)) == 30, "at the end the rest goes out at once"


def test_a_day_that_is_full_takes_no_more(
    store: Any, keeper: LogKeeper, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_keeper, "MEGABYTE", 1)  # 1,000 bytes: less than an empty partition
    keeper._is_started = True
    keeper.add(part(7, "one", "two"))
    keeper.tick(store.connection)
    assert kept(store) == []
    assert "no more lines of jobs are kept today job_logs_megabytes_per_day=1000" in caplog.text
    assert "lines of jobs were left out, since there were too many lines=2" in caplog.text


def test_what_postgresql_refuses_costs_no_other_job_its_lines(store: Any, keeper: LogKeeper) -> None:
    keeper._is_started = True
    for one in (part(7, "one"), part(8, "two")._replace(attempt=2**40), part(9, "three")):
        keeper.add(one)
    keeper.tick(store.connection)
    assert [row.job_id for row in kept(store)] == [7, 9]


def test_a_follower_that_is_gone_costs_nothing(store: Any, database: Database) -> None:
    worker = store.worker()
    follow = logs.follow(
        *(store.connection, store.schema), job_id=None, classes=["shop.*"], queues=[], level=30, seconds=30, by="me"
    )

    def followed() -> list[logs.Follow]:
        from jobq.store import control

        return control.wanted(store.connection, store.schema, worker_id=worker).follows

    (heard,) = followed()
    assert (heard.id, heard.classes, heard.level) == (follow, ("shop.*",), 30)
    assert 20 < heard.seconds_left <= 30
    store.execute("UPDATE jobq.follows SET until = now() - interval '1 second'")
    assert followed() == []
    logs.forget_follows(store.connection, store.schema)
    assert not logs.renew_follow(store.connection, store.schema, follow, seconds=30)


def test_a_job_is_followed_where_it_runs(store: Any) -> None:
    from jobq.store import control

    here, elsewhere = store.worker(), store.worker(pid=2)
    job = store.add()
    store.claim(here)
    logs.follow(*(store.connection, store.schema), job_id=job, classes=[], queues=[], level=0, seconds=30, by="me")
    wanted = [control.wanted(store.connection, store.schema, worker_id=worker) for worker in (here, elsewhere)]
    assert [len(one.follows) for one in wanted] == [1, 0]


def test_an_operator_may_follow_and_a_reader_looks(store: Any) -> None:
    job = store.add()
    add(store, part(job, "one"))
    with granted(OPERATOR, store) as database, operate.Following(database, job_id=job) as following:
        assert following.why_not is None
        assert store.rows("SELECT job_id FROM jobq.follows") == [(job,)]
    assert store.rows("SELECT FROM jobq.follows") == []
    with granted(READER, store) as database, operate.Following(database, job_id=job) as following:
        assert "may not" in (following.why_not or "")
        assert [line.message for line in observe.attempt_log(database, job, 1).lines] == ["one"]


def test_a_tail_reads_each_row_once_and_misses_none(store: Any, database: Database) -> None:
    tail = observe.Tail(database, observe.line_filter("class:shop.*"))
    tail.new_lines()
    add(store, *[part(number, f"line {number}") for number in range(1, 1301)])
    add(store, part(5000, "no shop")._replace(job_class="mail.Send"))
    seen = [line.job_id for _ in range(4) for line in tail.new_lines()]
    assert seen == list(range(1, 1301))
    store.execute(  # written before the last, and committed after it
        "INSERT INTO jobq.logs SELECT at - interval '1 second', began_at, 6000, attempt, said, level, worker_id, "
        "job_class, queue, lines FROM jobq.logs WHERE job_id = 1300"
    )
    assert [line.job_id for line in tail.new_lines()] == [6000]
    assert tail.new_lines() == []
