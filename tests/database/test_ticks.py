"""The rows of `schedules` and `ticks`: each tick is served once, whoever races, dies, or has another declaration."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_plans import ways_into

from jobq import observe, operate
from jobq.errors import ScheduleError, ScheduleNotFound
from jobq.records import ClassRecord, DeclaredSchedule
from jobq.runtime.ownership import Ownership
from jobq.runtime.scheduler import LOCK_SECONDS, MAX_AT_ONCE, Scheduler, first_tick, settled
from jobq.settings import Settings
from jobq.store import schedules as store_of
from jobq.store.database import Database
from jobq.store.schedules import Firing, NextTick, Served
from jobq.store.statements import statement
from jobq.ticks import ticks_of

if TYPE_CHECKING:
    from conftest import Store

NIGHTLY = DeclaredSchedule(
    name="nightly", job_class="shop.jobs.Work", arguments={"team": "all"}, queue="reports", priority=5, retries=2,
    unique_key=None, expression="0 * * * *", timezone="UTC", missed="once", overlap="allow", jitter=0.0,
)  # fmt: skip


def like_nightly(**fields: Any) -> DeclaredSchedule:
    return DeclaredSchedule(**{**{name: getattr(NIGHTLY, name) for name in NIGHTLY.__slots__}, **fields})


class Schedules:
    """What a worker's scheduler does, step by step, on the test's connection."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.connection, self.schema = store.connection, store.schema

    def declare(self, *schedules: DeclaredSchedule, worker: int | None = None, since: datetime | None = None) -> int:
        """Has a worker, a new one unless it is given, declare these schedules, and none else."""
        worker = worker or self.store.worker(classes=[ClassRecord("shop.jobs.Work", (), (), None)])
        assert store_of.declare(self.connection, self.schema, worker_id=worker, schedules=schedules, since=since)
        return worker

    def survey(self) -> list[str]:
        """Keeps what is declared; returns what was changed, and what was marked as undeclared."""
        changes = [(change, first_tick(change)) for change in store_of.survey(self.connection, self.schema)]
        kept = store_of.adopt(self.connection, self.schema, changes)
        return sorted(kept) + store_of.undeclare(self.connection, self.schema)

    def set_up(self, *schedules: DeclaredSchedule) -> int:
        worker = self.declare(*schedules or (NIGHTLY,))
        self.survey()
        return worker

    def row(self, name: str = "nightly") -> Any:
        return self.store.rows("SELECT * FROM jobq.schedules WHERE name = %s", name)[0]

    def ticks(self) -> list[Any]:
        return self.store.rows("SELECT * FROM jobq.ticks ORDER BY schedule, tick_at")

    def upcoming(self) -> list[NextTick]:
        return store_of.next_ticks(self.connection, self.schema)

    def pass_time(self, **passed: float) -> None:
        """As if so much time had passed: everything that was is so much longer ago."""
        step = timedelta(**passed)
        self.store.execute("UPDATE jobq.schedules SET next_at = next_at - %s, last_at = last_at - %s", step, step)
        # By way of another age: on the way, no row may meet another that has not moved yet.
        self.store.execute("UPDATE jobq.ticks SET tick_at = tick_at - interval '999 years' - %s", step)
        back = "tick_at = tick_at + interval '999 years'"
        self.store.execute(f"UPDATE jobq.ticks SET {back}, fired_at = fired_at - %s", step)

    def fire(self, *ticks: NextTick) -> dict[str, list[Served]]:
        """Serves these, as they were seen."""
        return store_of.fire(self.connection, self.schema, [firing(tick) for tick in ticks])

    def serve(self) -> list[Served]:
        """Serves what is due, as a worker does."""
        return serve(self.connection, self.schema)


def serve(connection: Any, schema: str) -> list[Served]:
    due = [tick for tick in store_of.next_ticks(connection, schema) if tick.seconds <= 0]
    served = store_of.fire(connection, schema, [firing(tick) for tick in due])
    return [one for name in sorted(served) for one in served[name]]


def firing(tick: NextTick) -> Firing:
    return Firing(tick, settled(tick.expression, tick.timezone, tick.missed, tick.next_at, tick.now))


@pytest.fixture
def schedules(store: "Store") -> Schedules:
    return Schedules(store)


RULED = {"on_held": "rerun", "unique_until": "finished", "unique_for": None, "debounce_limit": None}


def test_a_tick_whose_key_is_held_does_what_the_class_says(schedules: Schedules, report: Callable[..., Any]) -> None:
    store = schedules.store
    schedules.set_up(like_nightly(unique_key="k", key_rules=RULED, missed="all"))
    schedules.pass_time(hours=3)
    first, second, third = schedules.serve()
    assert [tick.verdict for tick in (first, second, third)] == ["enqueued"] * 3
    assert first.job_id == second.job_id == third.job_id  # the later ones replaced the first
    (job,) = store.unfinished()
    assert (job.id, job.queue, job.arguments, job.source) == (
        *(first.job_id, "reports"),
        *({"team": "all"}, "schedule nightly"),
    )
    worker = store.worker()
    (running,) = store.claim(worker, ["reports"])
    schedules.pass_time(hours=1)
    (fourth,) = schedules.serve()
    assert (fourth.verdict, fourth.job_id) == ("enqueued", running.id)
    store.finish(worker, report(running))
    (follower,) = store.unfinished()
    assert follower.id != running.id
    assert [job.id for job in store.claim(worker, ["reports"])] == [follower.id]


def test_a_tick_passes_where_the_class_leaves_the_holder_alone(schedules: Schedules) -> None:
    schedules.set_up(like_nightly(unique_key="k", key_rules={**RULED, "on_held": "return"}))
    schedules.pass_time(hours=1)
    (first,) = schedules.serve()
    schedules.pass_time(hours=1)
    (second,) = schedules.serve()
    assert (first.verdict, second.verdict, second.job_id) == ("enqueued", "held", None)


def test_ticks_do_not_overlap_whatever_the_class_says_of_its_key(schedules: Schedules) -> None:
    schedules.set_up(like_nightly(unique_key="k", key_rules=RULED, overlap="skip"))
    schedules.pass_time(hours=1)
    schedules.serve()
    schedules.pass_time(hours=1)
    assert [tick.verdict for tick in schedules.serve()] == ["overlapped"]


def test_a_run_by_hand_does_what_the_class_says(schedules: Schedules) -> None:
    store = schedules.store
    schedules.set_up(like_nightly(unique_key="k", key_rules=RULED))
    for _ in range(2):
        ran = store_of.run(store.connection, store.schema, name="nightly", run_by="ada")
        assert ran is not None
        assert ran.verdict == "enqueued"
    (job,) = store.unfinished()
    assert (job.id, job.source) == (ran.job_id, "schedule nightly, by ada")
    store.claim(store.worker(), ["reports"])
    schedules.declare(like_nightly(unique_key="k", key_rules={**RULED, "on_held": "replace"}))
    assert schedules.survey() == ["nightly"]
    ran = store_of.run(store.connection, store.schema, name="nightly", run_by="ada")
    assert ran is not None
    assert (ran.verdict, ran.job_id) == ("held", None)


# Declaring


def test_a_schedule_that_is_declared_begins_with_the_next_tick_from_now(schedules: Schedules) -> None:
    schedules.declare(NIGHTLY)

    assert schedules.survey() == ["nightly"]

    row = schedules.row()
    (tick,) = schedules.upcoming()
    assert row.next_at == ticks_of("0 * * * *", "UTC").after(tick.now)
    assert (row.queue, row.priority, row.retries, row.arguments) == ("reports", 5, 2, {"team": "all"})
    assert schedules.survey() == []


def test_of_old_and_new_workers_the_youngest_declaration_counts_whoever_asks(schedules: Schedules) -> None:
    old = schedules.declare(NIGHTLY)
    new = schedules.declare(like_nightly(expression="30 * * * *"))

    assert schedules.survey() == ["nightly"]

    assert schedules.row().expression == "30 * * * *"
    for _ in range(3):  # it does not matter who looks, or how often
        assert schedules.survey() == []
    schedules.store.declare_dead(new)
    assert schedules.survey() == ["nightly"]
    assert schedules.row().expression == "0 * * * *"
    schedules.store.declare_dead(old)


def test_an_old_worker_that_registers_anew_is_no_younger_for_it(schedules: Schedules) -> None:
    old = schedules.declare(NIGHTLY)
    (since,) = schedules.store.rows("SELECT schedules_at FROM jobq.workers WHERE id = %s", old)[0]
    schedules.declare(like_nightly(expression="30 * * * *"))
    schedules.survey()
    schedules.store.declare_dead(old)

    schedules.declare(NIGHTLY, since=since)

    assert schedules.survey() == []
    assert schedules.row().expression == "30 * * * *"


def test_another_expression_counts_from_now_and_serves_no_tick_again(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.pass_time(hours=1)
    (served,) = schedules.serve()

    for minute in range(5, 60, 5):
        schedules.declare(like_nightly(expression=f"{minute} * * * *"))
        schedules.survey()
        assert schedules.row().next_at > served.tick_at
        assert schedules.serve() == []
    assert len(schedules.ticks()) == 1


def test_a_tick_that_is_owed_is_not_lost_to_a_new_expression(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.pass_time(hours=3)
    owed = schedules.row().next_at

    schedules.declare(like_nightly(expression="0 0 1 1 *"))
    schedules.survey()

    assert [served.tick_at for served in schedules.serve()] == [owed]
    assert schedules.row().next_at > datetime.now(UTC)


def test_what_a_tick_enqueues_changes_without_a_change_of_its_time(schedules: Schedules) -> None:
    schedules.set_up()
    before = schedules.row().next_at

    schedules.declare(like_nightly(arguments={"team": "ops"}, queue="slow", missed="skip"))

    assert schedules.survey() == ["nightly"]
    row = schedules.row()
    assert (row.next_at, row.arguments, row.queue, row.missed) == (before, {"team": "ops"}, "slow", "skip")


def test_a_schedule_that_no_live_worker_declares_does_not_fire(schedules: Schedules) -> None:
    worker = schedules.set_up()
    schedules.pass_time(hours=1)
    schedules.store.declare_dead(worker)

    # Also before anybody has noticed.
    (tick,) = schedules.upcoming()
    assert not schedules.fire(tick)
    assert schedules.survey() == ["nightly"]
    assert schedules.upcoming() == []
    assert schedules.store.unfinished() == []


def test_what_workers_miss_while_they_are_down_is_still_owed_when_they_come_back(schedules: Schedules) -> None:
    schedules.store.declare_dead(schedules.set_up())
    schedules.declare(worker=schedules.store.worker())  # that of another application, which sees them gone
    schedules.survey()
    schedules.pass_time(hours=1)

    schedules.set_up()

    assert [served.verdict for served in schedules.serve()] == ["enqueued"]


def test_a_schedule_that_the_code_dropped_and_declares_again_begins_anew(schedules: Schedules) -> None:
    worker = schedules.set_up()
    schedules.declare(worker=worker)
    assert schedules.survey() == ["nightly"]
    assert schedules.row().next_at is None

    schedules.declare(NIGHTLY, worker=worker)
    schedules.survey()

    assert schedules.row().undeclared_at is None
    assert schedules.row().next_at > datetime.now(UTC)


def test_a_worker_of_an_earlier_release_says_nothing_about_schedules(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.store.worker(classes=[ClassRecord("shop.jobs.Work", (), (), None)])

    assert schedules.survey() == []


# Serving


def test_a_tick_enqueues_an_ordinary_job(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.pass_time(hours=1)
    due = schedules.row().next_at

    (served,) = schedules.serve()

    (job,) = schedules.store.unfinished()
    assert (served.tick_at, served.verdict, served.job_id) == (due, "enqueued", job.id)
    assert (job.job_class, job.arguments, job.queue, job.priority, job.retries, job.state) == (
        "shop.jobs.Work", {"team": "all"}, "reports", 5, 2, "pending",
    )  # fmt: skip
    assert job.source == "schedule nightly"
    assert schedules.row().next_at == due + timedelta(hours=1)
    assert schedules.serve() == []


def test_a_tick_that_is_not_due_by_the_databases_clock_cannot_be_served(schedules: Schedules) -> None:
    schedules.set_up()
    (tick,) = schedules.upcoming()

    assert not schedules.fire(tick)


@pytest.mark.parametrize(
    ("missed", "jobs", "verdicts"),
    [("once", 1, ["enqueued"]), ("skip", 0, ["missed"]), ("all", 4, ["enqueued"] * 4)],
)
def test_a_restart_after_a_gap_does_what_the_policy_says(
    schedules: Schedules, missed: str, jobs: int, verdicts: list[str]
) -> None:
    schedules.set_up(like_nightly(missed=missed))
    schedules.store.execute(
        "UPDATE jobq.schedules SET expression = to_char(now() - interval '30 minutes', 'FMMI') || ' * * * *', "
        "next_at = date_trunc('minute', now()) - interval '3 hours 30 minutes'"
    )

    schedules.serve()

    assert len(schedules.store.unfinished()) == jobs
    assert [tick.verdict for tick in schedules.ticks()] == verdicts
    assert schedules.serve() == []


def test_a_clock_that_steps_forward_misses_ticks_and_one_that_steps_back_repeats_none(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.pass_time(hours=1)
    schedules.serve()
    before = schedules.ticks()

    schedules.pass_time(hours=-5)  # the clock went back: all that was is in the future
    assert schedules.serve() == []
    schedules.declare(like_nightly(expression="*/5 * * * *"))
    schedules.survey()
    assert schedules.row().next_at > schedules.row().last_at
    assert schedules.serve() == []
    assert len(schedules.ticks()) == len(before) == 1


def test_jitter_spreads_the_start_and_not_the_tick(schedules: Schedules) -> None:
    schedules.set_up(like_nightly(jitter=3600.0))
    schedules.pass_time(hours=1)

    schedules.serve()

    (job,) = schedules.store.unfinished()
    assert job.state == "scheduled"
    assert timedelta(0) < job.run_at - job.enqueued_at <= timedelta(hours=1)


def test_a_tick_passes_while_the_last_job_is_not_done_where_they_may_not_overlap(schedules: Schedules) -> None:
    schedules.set_up(like_nightly(overlap="skip"))
    for _ in range(2):
        schedules.pass_time(hours=1)
        schedules.serve()
    assert [tick.verdict for tick in schedules.ticks()] == ["enqueued", "overlapped"]

    schedules.store.cancel(*(job.id for job in schedules.store.unfinished()))
    schedules.pass_time(hours=1)
    (served,) = schedules.serve()
    assert served.verdict == "enqueued"


def test_a_tick_passes_while_an_unfinished_job_holds_its_unique_key(schedules: Schedules) -> None:
    schedules.set_up(like_nightly(unique_key="k"))
    held = schedules.store.add(unique_key="k")
    schedules.pass_time(hours=1)

    (served,) = schedules.serve()

    assert (served.verdict, served.job_id) == ("held", None)
    assert [job.id for job in schedules.store.unfinished()] == [held]
    assert schedules.serve() == []


def test_one_schedule_whose_job_is_refused_does_not_keep_the_others(schedules: Schedules) -> None:
    schedules.set_up(NIGHTLY, like_nightly(name="other"))
    schedules.store.execute("UPDATE jobq.schedules SET job_class = repeat('x', 900) || 'é' WHERE name = 'nightly'")
    schedules.store.execute("ALTER TABLE jobq.jobs ADD CHECK (job_class NOT LIKE 'xxx%')")
    schedules.pass_time(hours=1)
    ticks = {tick.name: tick for tick in schedules.upcoming()}

    with pytest.raises(ScheduleError, match="the database refuses it"):
        schedules.fire(ticks["nightly"])
    assert schedules.fire(ticks["other"])


def race(schedules: Schedules, contenders: int, act: Callable[["Store"], Any]) -> list[Any]:
    """Lets many connections do the same at one moment."""
    barrier = threading.Barrier(contenders)
    results: list[Any] = []

    def contend() -> None:
        with schedules.store.another() as store:
            barrier.wait()
            results.append(act(store))

    threads = [threading.Thread(target=contend) for _ in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == contenders
    return results


@pytest.mark.one_server
def test_of_many_workers_that_serve_one_tick_at_one_moment_one_does(schedules: Schedules) -> None:
    names = [f"s{number}" for number in range(5)]
    schedules.set_up(*(like_nightly(name=name) for name in names))
    for _ in range(20):
        schedules.pass_time(hours=1)
        race(schedules, 8, lambda store: serve(store.connection, store.schema))
        # Those who were locked out look again; here nobody died, so there is nothing left.
        schedules.serve()

    ticks = schedules.ticks()
    assert len(ticks) == len({(tick.schedule, tick.tick_at) for tick in ticks}) == 5 * 20
    assert len(schedules.store.unfinished()) == 5 * 20


def test_two_workers_that_saw_the_same_tick_cannot_both_serve_it(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.pass_time(hours=1)
    (tick,) = schedules.upcoming()

    assert schedules.fire(tick)
    assert not schedules.fire(tick)
    another = tick.next_at + timedelta(minutes=1)
    schedules.store.execute("UPDATE jobq.schedules SET next_at = %s", another)
    assert not schedules.fire(tick)
    assert schedules.store.rows("SELECT next_at FROM jobq.schedules") == [(another,)], "nor pass over the next one"
    schedules.store.execute("UPDATE jobq.schedules SET next_at = %s, last_at = NULL", tick.next_at)
    with pytest.raises(ScheduleError, match="ticks_pkey"):  # and behind that stands the key
        schedules.fire(tick)
    assert len(schedules.store.unfinished()) == 1


SERVER_OF_TICKS = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_ticks import serve
from jobq.settings import Settings
from jobq.store.database import Database
with Database(Settings(database_url=sys.argv[2])).connect("test") as connection:
    print("ready", flush=True)
    while True:
        serve(connection, "jobq")
"""


@pytest.mark.one_server
def test_workers_killed_at_any_moment_neither_drop_nor_repeat_a_tick(
    schedules: Schedules, database_url: str, eventually: Callable[..., Any]
) -> None:
    def start() -> "subprocess.Popen[str]":
        folder = str(Path(__file__).parent)
        arguments = [sys.executable, "-c", SERVER_OF_TICKS, folder, database_url]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    names = [f"s{number}" for number in range(10)]
    schedules.set_up(*(like_nightly(name=name) for name in names))
    servers = [start() for _ in range(3)]
    try:
        for turn in range(6):
            victim = servers.pop(0)
            assert victim.stdout
            assert victim.stdout.readline() == "ready\n"
            schedules.store.execute(
                "UPDATE jobq.schedules SET next_at = date_trunc('hour', now()) - %s * interval '1 hour'", 24 - turn
            )
            os.kill(victim.pid, signal.SIGKILL)
            victim.communicate()
            servers.append(start())
            eventually(lambda: all(tick.seconds > 0 for tick in schedules.upcoming()))
    finally:
        for server in servers:
            server.kill()
            server.communicate()

    ticks = schedules.ticks()
    assert len({(tick.schedule, tick.tick_at) for tick in ticks}) == len(ticks)
    assert {tick.verdict for tick in ticks} == {"enqueued"}
    assert sorted(tick.job_id for tick in ticks) == [job.id for job in schedules.store.unfinished()]


# Many schedules


class Counted:
    """A connection that counts the statements which are sent over it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.statements = 0

    def execute(self, *arguments: Any) -> Any:
        self.statements += 1
        return self.connection.execute(*arguments)


def scheduler_of(settings: Settings, worker: int = 0) -> Scheduler:
    return Scheduler(Database(settings), Ownership(worker))


def tick_once(settings: Settings) -> None:
    scheduler = scheduler_of(settings)
    with scheduler.database.connect("test") as connection:
        scheduler.tick(connection)


@pytest.mark.one_server
def test_a_thousand_schedules_are_kept_and_served_with_a_few_statements(
    schedules: Schedules, settings: Settings
) -> None:
    minutely = [like_nightly(name=f"s{number}", expression="* * * * *") for number in range(1000)]
    worker = schedules.store.worker(classes=[ClassRecord("shop.jobs.Work", (), (), None)])
    scheduler = scheduler_of(settings, worker)
    scheduler.tell(tuple(minutely))
    with scheduler.database.connect("test") as own:
        connection: Any = Counted(own)
        scheduler.tick(connection)
        assert len(schedules.store.rows("SELECT name FROM jobq.schedules")) == 1000
        assert connection.statements <= 10
        schedules.pass_time(minutes=1)
        connection.statements = 0
        scheduler.tick(connection)
    assert connection.statements <= 2 * 1000 / MAX_AT_ONCE + 2
    ticks = schedules.ticks()
    assert len(ticks) == len({tick.schedule for tick in ticks}) == len({tick.job_id for tick in ticks}) == 1000
    assert all(row.next_at > ticks[0].tick_at for row in schedules.store.rows("SELECT next_at FROM jobq.schedules"))


@pytest.mark.one_server
def test_two_schedulers_that_race_share_a_thousand_ticks_and_serve_each_once(
    schedules: Schedules, settings: Settings
) -> None:
    schedules.set_up(*(like_nightly(name=f"s{number}", unique_key=f"k{number % 700}") for number in range(1000)))
    for _ in range(2):
        schedules.store.execute("DELETE FROM jobq.jobs")
        schedules.pass_time(hours=1)
        race(schedules, 2, lambda _: tick_once(settings))
        tick_once(settings)  # where both had met, the rest is served at the next look

    ticks = schedules.ticks()
    assert len(ticks) == len({(tick.schedule, tick.tick_at) for tick in ticks}) == 2 * 1000
    assert [tick.verdict for tick in ticks].count("enqueued") == 2 * 700
    assert len(schedules.store.unfinished()) == 700


def test_each_worker_begins_with_others_of_the_ticks_of_one_time(schedules: Schedules) -> None:
    schedules.set_up(*(like_nightly(name=f"s{number:02}") for number in range(20)))

    def order(seed: int) -> list[str]:
        return [tick.name for tick in store_of.next_ticks(schedules.connection, schedules.schema, seed=seed)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))
    schedules.store.execute("UPDATE jobq.schedules SET next_at = next_at - interval '1 hour' WHERE name = 's13'")
    assert order(1)[0] == order(2)[0] == "s13"  # what has been due for longer comes first


def test_a_key_that_an_open_transaction_holds_keeps_no_other_schedule_waiting(
    schedules: Schedules, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    keyed = [like_nightly(name=f"k{number}", unique_key=f"k{number}") for number in range(8)]
    schedules.set_up(NIGHTLY, *keyed)
    schedules.pass_time(hours=1)
    scheduler = scheduler_of(settings)
    with (
        scheduler.database.connect("test", lock_seconds=LOCK_SECONDS) as connection,
        schedules.store.another() as other,
    ):
        other.execute("BEGIN")
        other.add(unique_key="k3")
        scheduler.tick(connection)
        assert [tick.schedule for tick in schedules.ticks()] == [*(f"k{n}" for n in range(8) if n != 3), "nightly"]
        scheduler._left_out = dict.fromkeys(scheduler._left_out, 0.0)  # as if it were time to try again
        scheduler.tick(connection)
        other.execute("ROLLBACK")
        scheduler._left_out = dict.fromkeys(scheduler._left_out, 0.0)
        scheduler.tick(connection)

    assert len(schedules.ticks()) == 9
    assert caplog.text.count("schedule left out name=k3 error=an open transaction holds its unique key") == 1


def test_a_row_that_somebody_has_locked_keeps_no_other_schedule_waiting(
    schedules: Schedules, settings: Settings
) -> None:
    worker = schedules.set_up(NIGHTLY, like_nightly(name="other"))
    schedules.pass_time(hours=1)
    with schedules.store.another() as somebody:
        somebody.execute("BEGIN")
        somebody.execute("SELECT FROM jobq.schedules WHERE name = 'nightly' FOR UPDATE")
        scheduler_of(settings).tick(schedules.connection)
        assert [tick.schedule for tick in schedules.ticks()] == ["other"]
        schedules.declare(like_nightly(queue="new"), like_nightly(name="other", queue="new"), worker=worker)
        assert schedules.survey() == ["other"]
        schedules.declare(like_nightly(name="more"), worker=worker)
        assert schedules.survey() == ["more", "other"]  # kept, and no longer declared
        somebody.execute("ROLLBACK")
    assert schedules.survey() == ["nightly"]


def test_one_schedule_that_is_refused_is_found_among_many_and_named(
    schedules: Schedules, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    schedules.set_up(*(like_nightly(name=f"s{number}", queue=f"q{number}") for number in range(9)))
    schedules.store.execute("ALTER TABLE jobq.jobs ADD CHECK (queue <> 'q5')")
    schedules.pass_time(hours=1)

    scheduler_of(settings).tick(schedules.connection)

    assert [tick.schedule for tick in schedules.ticks()] == [f"s{number}" for number in range(9) if number != 5]
    assert "schedule left out name=s5 error=the database refuses it" in caplog.text


def test_one_schedule_that_cannot_be_kept_is_found_among_many_and_named(
    schedules: Schedules, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    schedules.store.execute("ALTER TABLE jobq.schedules ADD CHECK (queue <> 'q5')")
    schedules.declare(*(like_nightly(name=f"s{number}", queue=f"q{number}") for number in range(9)))

    scheduler_of(settings).tick(schedules.connection)

    assert len(schedules.store.rows("SELECT FROM jobq.schedules")) == 8
    assert "schedule left out name=s5 error=the database refuses it" in caplog.text


@pytest.mark.one_server
def test_what_is_due_is_found_by_its_index_among_ten_thousand(schedules: Schedules) -> None:
    schedules.set_up()
    schedules.store.execute(
        "INSERT INTO jobq.schedules (name, job_class, arguments, queue, priority, retries, expression, timezone, "
        "missed, overlap, jitter, next_at) "
        "SELECT 's' || n, 'x', '{}', 'q', 0, 0, '* * * * *', 'UTC', 'once', 'allow', 0, now() + n * interval '1 min' "
        "FROM generate_series(1, 10000) AS n"
    )
    schedules.store.execute("ANALYZE jobq.schedules")
    explain = b"EXPLAIN (FORMAT JSON) " + statement("schedule_next", "jobq")
    parameters = {"left_out": ["s7"], "limit": 500, "seed": 1}
    ((explained,),) = schedules.connection.execute(explain, parameters).fetchall()
    assert ways_into(explained[0]["Plan"], "schedules") == {"schedules_next"}


# What operators do


def test_a_paused_schedule_moves_on_without_a_job_and_says_who_paused_it(
    schedules: Schedules, database: Database
) -> None:
    schedules.set_up()
    assert operate.pause_schedule(database, ["nightly"]).done == ["nightly"]
    assert operate.pause_schedule(database, ["nightly"]).skipped == {"nightly": "it is paused already"}
    schedules.pass_time(hours=2)

    assert schedules.serve() == []

    assert schedules.row().next_at > schedules.upcoming()[0].now
    assert schedules.ticks() == schedules.store.unfinished() == []
    (record,) = observe.schedules(database)
    assert record.paused_by
    assert record.paused_at
    assert operate.resume_schedule(database, ["nightly"]).done == ["nightly"]
    assert operate.resume_schedule(database, ["nightly"]).skipped == {"nightly": "it is not paused"}


def test_what_passed_while_a_schedule_was_paused_was_not_missed(schedules: Schedules, database: Database) -> None:
    schedules.set_up()
    operate.pause_schedule(database, ["nightly"])
    schedules.pass_time(hours=5)  # and no worker ran to move it on

    operate.resume_schedule(database, ["nightly"])

    assert schedules.serve() == []
    assert schedules.row().next_at > schedules.upcoming()[0].now


def test_a_run_by_hand_is_out_of_turn(schedules: Schedules, database: Database) -> None:
    schedules.set_up(like_nightly(unique_key="k"))
    before = schedules.row().next_at

    acted = operate.run_schedule(database, ["nightly"])

    (job,) = schedules.store.unfinished()
    assert (acted.done, acted.jobs) == (["nightly"], {"nightly": job.id})
    assert job.source.startswith("schedule nightly, by ")
    assert schedules.row().next_at == before
    assert operate.run_schedule(database, ["nightly"]).skipped == {"nightly": "an unfinished job holds its unique key"}


def test_a_run_by_hand_keeps_to_what_may_not_overlap_and_to_what_is_declared(
    schedules: Schedules, database: Database
) -> None:
    worker = schedules.set_up(like_nightly(overlap="skip"))
    operate.run_schedule(database, ["nightly"])
    assert "may not overlap" in operate.run_schedule(database, ["nightly"]).skipped["nightly"]

    schedules.declare(worker=worker)
    schedules.survey()
    assert "declares" in operate.run_schedule(database, ["nightly"]).skipped["nightly"]


@pytest.mark.parametrize("act", [operate.run_schedule, operate.pause_schedule, operate.resume_schedule])
def test_an_act_on_a_schedule_that_there_is_not_names_one_that_is_near(
    act: Callable[..., Any], schedules: Schedules, database: Database
) -> None:
    schedules.set_up()
    with pytest.raises(ScheduleNotFound, match="Did you mean nightly"):
        act(database, ["nightly", "nightli"])
    assert schedules.store.unfinished() == []
    assert schedules.row().paused_at is None


# What is seen


def test_a_schedule_shows_its_last_runs_with_what_became_of_each(
    schedules: Schedules, database: Database, report: Callable[..., Any]
) -> None:
    worker = schedules.set_up()
    for outcome in ("successful", "errored", None):
        schedules.pass_time(hours=1)
        schedules.serve()
        if outcome:
            (assignment,) = schedules.store.claim(worker, ["reports"])
            schedules.store.finish(worker, report(assignment, outcome))

    (record,) = observe.schedules(database)

    assert [run.standing for run in record.runs] == ["pending", "errored", "successful"]
    assert [run.run_seconds is not None for run in record.runs] == [False, True, True]
    assert record.last == record.runs[0]
    assert record.words == "every hour"
    assert [later - earlier for earlier, later in pairwise(record.upcoming)] == [timedelta(hours=1)] * 2
    assert len(observe.schedules(database, runs=2)[0].runs) == 2


def test_a_row_that_this_machine_cannot_read_is_shown_all_the_same(schedules: Schedules, database: Database) -> None:
    schedules.set_up()
    schedules.store.execute("UPDATE jobq.schedules SET expression = 'when it rains', timezone = 'Mars/Olympus'")

    (record,) = observe.schedules(database)

    assert (record.words, len(record.upcoming)) == (None, 1)
    assert [tick.schedule for tick in observe.preview(database, timedelta(hours=24))] == ["nightly"]


def test_a_preview_has_the_ticks_of_all_schedules_in_their_order(schedules: Schedules, database: Database) -> None:
    schedules.set_up(NIGHTLY, like_nightly(name="half", expression="30 */6 * * *"))

    coming = observe.preview(database, timedelta(hours=24))

    assert [tick.tick_at for tick in coming] == sorted(tick.tick_at for tick in coming)
    assert [tick.schedule for tick in coming].count("nightly") == 24
    assert [tick.schedule for tick in coming].count("half") == 4
    assert len(observe.preview(database, timedelta(hours=24), ["half"])) == 4


def test_what_is_owed_stands_once_at_the_front_of_a_preview(schedules: Schedules, database: Database) -> None:
    schedules.set_up()
    schedules.pass_time(days=3)

    coming = observe.preview(database, timedelta(hours=2))

    assert len(coming) == 3
    assert coming[0].tick_at > schedules.row().next_at


def test_ticks_and_schedules_are_forgotten_as_results_are(schedules: Schedules) -> None:
    worker = schedules.set_up()
    for _ in range(3):
        schedules.pass_time(hours=1)
        schedules.serve()
    schedules.pass_time(days=40)
    assert store_of.forget(schedules.connection, schedules.schema, days=0) == []
    assert len(schedules.ticks()) == 3

    store_of.forget(schedules.connection, schedules.schema, days=30)
    assert len(schedules.ticks()) == 1  # the last one stays, for as long as the schedule does

    schedules.declare(worker=worker)
    schedules.survey()
    schedules.store.execute("UPDATE jobq.schedules SET undeclared_at = now() - interval '31 days'")
    assert store_of.forget(schedules.connection, schedules.schema, days=30) == ["nightly"]
    assert schedules.ticks() == []


def test_the_runs_of_many_schedules_are_found_by_their_indexes(schedules: Schedules, database: Database) -> None:
    schedules.set_up(*(like_nightly(name=f"s{number}") for number in range(20)))
    schedules.store.execute(
        "INSERT INTO jobq.ticks (schedule, tick_at, fired_at, verdict, job_id) "
        "SELECT 's' || s, now() - n * interval '1 minute', now() - n * interval '1 minute', 'enqueued', s * 2000 + n "
        "FROM generate_series(0, 19) AS s, generate_series(1, 2000) AS n"
    )
    schedules.store.execute("ANALYZE jobq.ticks")

    records = observe.schedules(database)

    assert {len(record.runs) for record in records} == {observe.RUNS}
    explain = b"EXPLAIN (FORMAT JSON) " + statement("observe_schedules", "jobq")
    ((explained,),) = schedules.store.connection.execute(explain, {"names": None, "runs": 60}).fetchall()
    assert ways_into(explained[0]["Plan"], "ticks") == {"ticks_pkey"}
    assert ways_into(explained[0]["Plan"], "jobs") == {"jobs_pkey"}
