"""Sixteen clients that enqueue with one key at once, while a worker claims and ends what there is.

What must hold is asked of the record of all calls: each enqueue and each claim, with the times between which it took
effect. One enqueue came before another where it had returned before the other was called.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import psycopg
import pytest

from conftest import JOB_CLASS, new_job, report_on
from jobq.records import KeyRules
from jobq.states import Outcome
from jobq.store import enqueueing, workers

CLIENTS = 16
ENQUEUES = 6

LIMIT = 0.3


@dataclass(frozen=True)
class Enqueued:
    """One call of enqueue; `verdict` is None where the job was not taken up."""

    version: int
    began: float
    ended: float
    verdict: str | None
    job_id: int | None

    @property
    def counts(self) -> bool:
        return self.verdict not in (None, "held")


@dataclass(frozen=True)
class Run:
    job_id: int
    version: int
    claim_began: float
    claim_ended: float


@dataclass
class Scene:
    store: Any
    rules: KeyRules
    enqueued: list[Enqueued] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    most_unfinished: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def play(self, *, client: Any, steps: tuple[str, ...] = ("finish",)) -> None:
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            worker = pool.submit(self.work, steps)
            clients = [pool.submit(client, self, number) for number in range(CLIENTS)]
            try:
                for one in clients:
                    one.result()
            finally:
                self.is_over.set()
            worker.result()
        assert self.store.unfinished() == []

    def enqueue(self, client: Any, version: int, delay: float = 0.0) -> None:
        job = new_job(
            unique_key="k", arguments=f'{{"version": {version}}}', key_rules=self.rules, delay=delay, retries=3
        )
        began = monotonic()
        added = enqueueing.enqueue(client.connection, client.schema, job)
        verdict = None if added is None else added.holder.verdict if added.holder else "enqueued"
        self.enqueued.append(Enqueued(version, began, monotonic(), verdict, added and added.id))

    def work(self, steps: tuple[str, ...]) -> None:
        """A worker that ends or puts back what it claims, until nothing is left after the last enqueue."""
        chance = random.Random(1)
        with self.store.another() as store:
            worker = store.worker()
            while True:
                is_over = self.is_over.is_set()
                store.promote(worker)
                store.rescue(max_losses=1_000_000)  # also what an enqueue had locked the last time
                began = monotonic()
                claimed = store.claim(worker)
                claim_ended = monotonic()
                unfinished = store.rows("SELECT count(*) AS jobs FROM jobq.jobs WHERE unique_key = 'k'")[0].jobs
                self.most_unfinished = max(self.most_unfinished, unfinished)
                for job in claimed:
                    step = chance.choice(steps)
                    version = int(job.arguments.split(":")[1].strip(" }"))
                    self.runs.append(Run(job.id, version, began, claim_ended))
                    self.end(store, worker, job, step)
                if is_over and not claimed and not store.unfinished():
                    return

    def end(self, store: Any, worker: int, job: Any, step: str) -> None:
        if step == "finish":
            store.finish(worker, report_on(job))
        elif step == "retry":
            store.retry(worker, report_on(job, Outcome.ERRORED, retry_delay=0.0, excused=True))
        elif step == "give back":
            store.give_back(worker, job)
        else:
            another = store.worker()
            store.execute("UPDATE jobq.jobs SET worker_id = %s WHERE id = %s", another, job.id)
            workers.note_claims(store.connection, store.schema)
            store.declare_dead(another)

    def check_that_nothing_is_missed(self) -> None:
        """After each enqueue some run begins that has its arguments, or those of a later one."""
        by_version = {one.version: one for one in self.enqueued}
        for asked in self.enqueued:
            if not asked.counts:
                continue
            later = [run for run in self.runs if run.claim_ended > asked.began]
            assert any(is_as_new(by_version[run.version], asked) for run in later), f"{asked} was never run"
        self.check_that_no_run_is_older_than_what_was_there()

    def check_that_no_run_is_older_than_what_was_there(self) -> None:
        by_version = {one.version: one for one in self.enqueued}
        for run in self.runs:
            had = by_version[run.version]
            for asked in self.enqueued:
                if asked.counts and asked.ended < run.claim_began:
                    assert is_as_new(had, asked), f"{run} ran with {had}, but {asked} was there"


def is_as_new(had: Enqueued, asked: Enqueued) -> bool:
    """Whether one may have come after another."""
    return had.ended >= asked.began


def enqueue_often(scene: Scene, number: int) -> None:
    with scene.store.another() as client:
        for turn in range(ENQUEUES):
            scene.enqueue(client, number * 1000 + turn)


def scene_of(store: Any, on_held: str, *, until: str = "finished", span: float | None = None) -> Scene:
    return Scene(store, KeyRules(on_held, until, span, LIMIT if on_held == "debounce" else None))


@pytest.mark.parametrize("on_held", ["skip", "return"])
def test_each_job_that_was_enqueued_runs_once_and_no_other(store: Any, on_held: str) -> None:
    scene = scene_of(store, on_held)
    scene.play(client=enqueue_often)
    new = [one.version for one in scene.enqueued if one.verdict == "enqueued"]
    assert sorted(run.version for run in scene.runs) == sorted(new)
    assert scene.most_unfinished <= 1
    if on_held == "return":
        assert all(one.job_id for one in scene.enqueued)


@pytest.mark.parametrize("on_held", ["replace", "debounce", "rerun", "newest"])
def test_what_was_enqueued_last_before_a_run_begins_is_run_and_no_key_is_held_twice(store: Any, on_held: str) -> None:
    def client(scene: Scene, number: int) -> None:
        with scene.store.another() as other:
            for turn in range(ENQUEUES):
                scene.enqueue(other, number * 1000 + turn, delay=0.01 if on_held == "debounce" else 0.0)

    scene = scene_of(store, on_held)
    scene.play(client=client)
    scene.check_that_nothing_is_missed()
    assert scene.most_unfinished <= 1
    assert len({run.version for run in scene.runs}) == len(scene.runs)  # no version is run twice
    assert len({run.job_id for run in scene.runs}) == len(scene.runs)
    if on_held != "replace":
        assert all(one.counts for one in scene.enqueued)


@pytest.mark.parametrize("on_held", ["rerun", "newest"])
def test_the_latest_is_run_though_runs_are_retried_given_back_and_lost(store: Any, on_held: str) -> None:
    scene = scene_of(store, on_held)
    scene.play(client=enqueue_often, steps=("finish", "retry", "give back", "lose"))
    assert scene.most_unfinished <= 1
    last = max(scene.runs, key=lambda run: run.claim_began)
    by_version = {one.version: one for one in scene.enqueued}
    assert all(is_as_new(by_version[last.version], asked) for asked in scene.enqueued)


def test_a_key_that_is_free_from_the_start_has_one_that_waits_and_misses_nothing(store: Any) -> None:
    scene = scene_of(store, "replace", until="started")
    scene.play(client=enqueue_often)
    scene.check_that_nothing_is_missed()
    assert all(one.counts for one in scene.enqueued)


def test_a_throttled_key_is_enqueued_once(store: Any) -> None:
    scene = scene_of(store, "skip", span=600.0)
    scene.play(client=enqueue_often)
    assert [one.verdict for one in scene.enqueued if one.verdict] == ["enqueued"]
    assert len(scene.runs) == 1


def finished(store: Any, worker: int, claimed: list[Any]) -> int:
    """Ends jobs as a worker's completer does, which sends its statement again when it was chosen to end a deadlock.

    That is rare: a key must be taken and its job end between two steps of a batch.
    """
    while True:
        try:
            return int(store.finish(worker, *[report_on(job) for job in claimed]))
        except psycopg.errors.DeadlockDetected:
            continue


@pytest.mark.parametrize("on_held", ["rerun", "newest", "replace"])
def test_batches_with_the_same_keys_in_any_order_wait_for_each_other_one_way_only(store: Any, on_held: str) -> None:
    """Beside each other, beside a worker that claims and ends many at once, and beside an operator who cancels."""
    names = [f"k{number}" for number in range(12)]
    key_rules = KeyRules(on_held, "finished", None, None)
    is_over = threading.Event()

    def client(number: int) -> None:
        chance = random.Random(number)
        with store.another() as other:
            for turn in range(4):
                keys = chance.sample(names, 8)
                batch = [new_job(unique_key=key, key_rules=key_rules, arguments=f'{{"turn": {turn}}}') for key in keys]
                enqueueing.enqueue_many(other.connection, other.schema, batch)

    def work() -> int:
        ended = 0
        with store.another() as other:
            worker = other.worker()
            while True:
                was_over = is_over.is_set()
                claimed = other.claim(worker)
                if claimed:
                    ended += finished(other, worker, claimed)
                elif was_over:
                    return ended
                if not was_over:
                    other.cancel(*[job.id for job in other.unfinished()[:3]])

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        worker = pool.submit(work)
        try:
            for done in [pool.submit(client, number) for number in range(CLIENTS)]:
                done.result()
        finally:
            is_over.set()
        assert worker.result() > 0
    assert store.unfinished() == []
    assert all(result.job_class == JOB_CLASS for result in store.results())


# Circles, made on purpose: one side is held where it stands, until the other waits for it.

HOLD = 4711
"""The advisory lock at which the trigger of `held_at` waits, once the test has it."""


@contextmanager
def held_at(store: Any, event: str) -> Iterator[Callable[[], None]]:
    """Whoever does this to the row of key `a` inside waits, with the row locked, until they are released."""

    def release() -> None:
        store.execute("SELECT pg_advisory_unlock_all()")

    store.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN PERFORM pg_advisory_xact_lock({HOLD}); RETURN NULL; END'"
    )
    store.execute(
        f"CREATE TRIGGER hold AFTER {event} ON jobq.jobs FOR EACH ROW WHEN (NEW.unique_key = 'a') "
        "EXECUTE FUNCTION hold()"
    )
    store.execute(f"SELECT pg_advisory_lock({HOLD})")
    try:
        yield release
    finally:
        release()


def waiting_sessions(store: Any) -> int:
    ((waiting,),) = store.execute(
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND datname = current_database()"
    ).fetchall()
    return int(waiting)


def ruled(key: str, on_held: str) -> Any:
    return new_job(unique_key=key, key_rules=KeyRules(on_held, "finished", None, None), arguments='{"version": 2}')


@pytest.mark.parametrize("between", ["its row is left alone", "its row comes in between"])
def test_a_batch_and_a_workers_finish_of_the_same_keys_do_not_wait_for_each_other_in_a_circle(
    store: Any, between: str, eventually: Any
) -> None:
    """The batch has locked the row of key `a`, whose id is the higher one; the finish has deleted that of key `b`."""
    batch = [ruled("a", "rerun"), ruled("b", "rerun" if between == "its row comes in between" else "replace")]
    worker = store.worker()
    ids = {key: store.execute("SELECT nextval('jobq.jobs_id_seq')").fetchone()[0] for key in ("b", "a")}

    def begin(key: str) -> Any:
        store.add(unique_key=key)
        store.execute("UPDATE jobq.jobs SET id = %s WHERE unique_key = %s", ids[key], key)
        (running,) = store.claim(worker)
        return running

    running = [] if between == "its row comes in between" else [begin("b")]
    running.append(begin("a"))
    with ThreadPoolExecutor(2) as threads, store.another() as one, store.another() as other:
        with held_at(store, "UPDATE OF follow_up"):
            enqueued = threads.submit(enqueueing.enqueue_many, one.connection, one.schema, batch)
            eventually(lambda: waiting_sessions(store) == 1)
            if between == "its row comes in between":
                running.append(begin("b"))
            finishing = threads.submit(other.finish, worker, *map(report_on, running))
            eventually(lambda: waiting_sessions(store) == 2)
        assert finishing.result() == 2
        verdicts = [added and (added.holder.verdict if added.holder else "enqueued") for added in enqueued.result()]
    if between == "its row comes in between":
        assert verdicts == ["enqueued", "enqueued"]  # both had ended, when the batch began anew
    else:
        assert verdicts == ["followed", None]  # neither had
    unfinished = [(job.unique_key, job.arguments) for job in store.unfinished()]
    assert unfinished == [(key, {"version": 2}) for key, verdict in zip("ab", verdicts, strict=True) if verdict]
    assert [result.id for result in store.results()] == sorted(ids.values())


def test_an_enqueuer_that_is_chosen_to_end_a_circle_of_inserts_enqueues_once_more(store: Any, eventually: Any) -> None:
    """Two that add the same keys crosswise, in statements of their own, cannot see each other's rows."""
    with ThreadPoolExecutor(2) as threads, store.another() as one, store.another() as other:
        # The one that is chosen is the one whose patience ends.
        one.execute("SET deadlock_timeout = '10ms'")
        other.execute("SET deadlock_timeout = '1h'")
        with held_at(store, "INSERT") as release, other.connection.transaction():
            other.add(unique_key="b")
            batch = [ruled("a", "rerun"), ruled("b", "rerun")]
            enqueued = threads.submit(enqueueing.enqueue_many, one.connection, one.schema, batch)
            eventually(lambda: waiting_sessions(store) == 1)
            adding = threads.submit(other.add, unique_key="a")
            eventually(lambda: waiting_sessions(store) == 2)
            release()
            assert adding.result() is not None
        met = enqueued.result()
    assert [added.holder.verdict for added in met] == ["replaced", "replaced"]
    assert [(job.unique_key, job.arguments) for job in store.unfinished()] == [
        ("b", {"version": 2}),
        ("a", {"version": 2}),
    ]
