"""What platforms ask of the database: how many processes a queue wants, who works it, and what workers are called."""

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq import histograms, observe, operate
from jobq.errors import AmbiguousWorker
from jobq.queue_choice import works
from jobq.store import queues

if TYPE_CHECKING:
    from conftest import Store
    from jobq.store.database import Database

CHOICES: list[tuple[list[str], str, bool]] = [
    ([], "mail", True),
    (["mail"], "mail", True),
    (["mail"], "mailing", False),
    (["mail", "default"], "default", True),
    (["mail*"], "mailing", True),
    (["mail*"], "snail", False),
    (["mail?"], "mails", True),
    (["mail?"], "mail", False),
    (["-slow"], "mail", True),
    (["-slow"], "slow", False),
    (["mail*", "-mail-slow"], "mail-slow", False),
    (["mail*", "-mail-slow"], "mail-fast", True),
    (["-*"], "mail", False),
    (["a_b"], "axb", False),
    (["100%*"], "100 and more", False),
    (["100%*"], "100% sure", True),
    (["c:\\*"], "c:\\temp", True),
    (["a.b"], "axb", False),
    (["[ab]*"], "a", False),
]


def test_the_database_and_a_worker_agree_on_what_a_worker_works(store: "Store") -> None:
    for terms, queue, is_worked in CHOICES:
        assert works(terms, queue) is is_worked, (terms, queue)
        assert store.rows("SELECT jobq.works(%s, %s) AS works", terms, queue) == [(is_worked,)], (terms, queue)


def test_a_queue_that_never_was_is_told_from_those_that_were(store: "Store") -> None:
    store.add(queue="pending")
    store.add(queue="scheduled", delay=900)
    worker = store.worker()
    store.execute("INSERT INTO jobq.metrics (minute, queue, job_class) VALUES (now(), 'ended', 'shop.jobs.Work')")
    classes = [
        {"name": "shop.jobs.Work", "aliases": [], "options": {"queue": "declared"}},
        {"name": "x", "aliases": []},
    ]
    store.execute("UPDATE jobq.workers SET classes = %s WHERE id = %s", json.dumps(classes), worker)
    names = ["pending", "scheduled", "ended", "declared", "default", "declraed"]
    assert queues.never_seen(store.connection, store.schema, names) == ["declraed"]
    assert sorted(queues.known(store.connection, store.schema)) == ["declared", "default"]


def test_workers_of_one_host_and_pid_are_told_apart_and_addressed(store: "Store", database: "Database") -> None:
    alone = store.worker(host="db", pid=7)
    first, second = store.worker(host="web"), store.worker(host="web")
    names = {worker.id: worker.name for worker in observe.workers(database)}
    assert names == {alone: "db/7", first: f"web/1#{first}", second: f"web/1#{second}"}

    with pytest.raises(AmbiguousWorker) as error:
        operate.stop_workers(database, ["web/1"])
    assert f"web/1#{first} (started " in str(error.value)
    assert f"web/1#{second} (started " in str(error.value)
    acted = operate.stop_workers(database, [f"web/1#{second}", f"#{alone}"])
    assert (acted.done, acted.ids) == (["db/7", f"web/1#{second}"], [alone, second])

    # Once the other has gone, the short name is enough.
    store.execute("UPDATE jobq.workers SET stopped_at = now() WHERE id = %s", second)
    assert operate.stop_workers(database, ["web/1"]).ids == [first]


def test_a_job_says_which_of_two_namesakes_runs_it(store: "Store", database: "Database") -> None:
    store.worker(host="web")
    second = store.worker(host="web")
    job = store.add()
    assert job is not None
    store.claim(second)
    assert observe.show(database, job).job.worker == f"web/1#{second}"
    assert f"web/1#{second}" in observe.why(database, job).reasons[0].text


def ran(store: "Store", job_class: str, seconds: float, *, attempts: int = 10, queue: str = "mail") -> None:
    """Figures of attempts that ended an hour ago."""
    store.execute(
        "INSERT INTO jobq.metrics (minute, queue, job_class, successful, runs) "
        "VALUES (date_bin('1 minute', now() - interval '1 hour', to_timestamp(0)), %s, %s, %s, %s::numeric)",
        queue, job_class, attempts, str(histograms.packed({histograms.bucket(seconds): attempts})),
    )  # fmt: skip


def wanted(store: "Store", within: str = "10 minutes", queue: str = "mail") -> Any:
    ((processes,),) = store.rows("SELECT jobq.wanted_processes(%s, within => %s::interval)", queue, within)
    return processes


def test_an_empty_queue_wants_no_process_and_one_job_wants_one(store: "Store") -> None:
    assert wanted(store) == 0
    store.add(queue="mail")
    assert wanted(store) == 1
    assert wanted(store, queue="other") == 0


def test_the_wanted_processes_end_the_backlog_in_time(store: "Store") -> None:
    store.add_many(*({"queue": "mail"} for _ in range(1000)))
    for seconds in (0.002, 0.37, 6.0, 95.0, 3600.0):
        store.execute("DELETE FROM jobq.metrics")
        ran(store, "shop.jobs.Work", seconds)
        mean = histograms.MIDDLES[histograms.bucket(seconds)]
        assert wanted(store) == pytest.approx(max(1, 1000 * mean / 600), rel=0.02, abs=1)
        assert wanted(store, "1 minute") == pytest.approx(max(1, 1000 * mean / 60), rel=0.02, abs=1)


def test_each_class_of_the_backlog_counts_with_its_own_time(store: "Store") -> None:
    ran(store, "shop.jobs.Quick", 0.1)
    ran(store, "shop.jobs.Slow", 60.0)
    store.add_many(*({"queue": "mail", "job_class": "shop.jobs.Quick"} for _ in range(100)))
    assert wanted(store) == 1
    store.add_many(*({"queue": "mail", "job_class": "shop.jobs.Slow"} for _ in range(100)))
    assert wanted(store) == pytest.approx(10, abs=1)


def test_jobs_that_are_due_soon_count_too(store: "Store") -> None:
    ran(store, "shop.jobs.Work", 6.0)
    store.add_many(*({"queue": "mail", "delay": 300} for _ in range(500)))
    assert wanted(store, "10 minutes") == pytest.approx(5, abs=1)
    assert wanted(store, "1 minute") == 0


def test_a_queue_wants_what_keeps_up_with_what_comes_in_but_no_burst_counts_twice(store: "Store") -> None:
    ran(store, "shop.jobs.Work", 6.0)
    for minute in range(10, 0, -1):
        store.execute(
            "INSERT INTO jobq.levels (minute, queue, unfinished) "
            "VALUES (date_bin('1 minute', now() - %s * interval '1 minute', to_timestamp(0)), 'mail', %s)",
            minute, 0 if minute > 5 else 5000,
        )  # fmt: skip
        store.execute(
            "INSERT INTO jobq.metrics (minute, queue, job_class, successful) "
            "VALUES (date_bin('1 minute', now() - %s * interval '1 minute', to_timestamp(0)), 'mail', 'x', 50)",
            minute,
        )
    assert wanted(store) == pytest.approx(50 * 6 / 60, abs=1)


def test_attempts_that_run_for_long_keep_their_processes(store: "Store") -> None:
    worker = store.worker()
    ran(store, "shop.jobs.Work", 45.0)
    store.add_many(*({"queue": "mail"} for _ in range(3)))
    claimed = store.claim(worker, ["mail"])
    begun = {str(one.id): [one.attempt, 1.0] for one in claimed}
    store.execute("UPDATE jobq.workers SET status = %s", json.dumps({"begun": begun}))
    assert wanted(store) == 3
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now())")
    assert wanted(store) == 3


def test_a_paused_queue_wants_none(store: "Store") -> None:
    store.add(queue="mail")
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now())")
    assert wanted(store) == 0


def test_a_time_that_is_none_is_refused(store: "Store") -> None:
    for within in ("0", "-1 minute"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="must be longer"):
            wanted(store, within)
