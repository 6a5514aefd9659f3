"""Has hypothesis tell stories of enqueuers, workers and operators, and holds a model against the database step by step.

    python -m tests.faults.model [--steps 10000] [--seed 1] [--database-url URL]

The model is the promises in small: a job is in one place; an attempt has one end; a unique key has one unfinished job;
a late report changes nothing; what an operator is told is what was done. Workers are simulated by the statements that a
worker uses, so that they can die, come back and be late at will. A story that ends badly is shrunk until it is short.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobq import Job, enqueue_many, operate, register_job, states
from jobq.errors import ActNotUndone
from jobq.names import name_of
from jobq.records import Assignment, ClassRecord, Report
from jobq.store import jobs, preparing, workers
from jobq.store.claiming import QueuePosition
from jobq.store.database import Connection, Database
from tests.faults.servers import migrated

MAX_LOSSES = 2  # so that stories come to it
SOON, LATER = 600.0, 1800.0  # both pass when an hour does


@register_job
class Work(Job):
    def __init__(self, queue: str, priority: int, retries: int, key: str | None) -> None:
        self.queue, self.priority, self.retries, self.key = queue, priority, retries, key

    def run(self) -> None: ...

    def get_queue(self) -> str:
        return self.queue

    def get_priority(self) -> int:
        return self.priority

    def get_retries(self) -> int:
        return self.retries

    def get_unique_key(self) -> str | None:
        return self.key


NAME = name_of(Work)
KNOWN = ClassRecord(NAME, (), (), None)


@dataclass
class Row:
    """An unfinished job, as it should be."""

    queue: str
    priority: int
    retries: int
    key: str | None
    state: str = "pending"
    attempt: int = 0
    excused: int = 0
    losses: int = 0
    worker: int | None = None
    claim: Assignment | None = None
    is_to_stop: bool = False
    is_suspected: bool = False
    has_begun: bool = False  # as its worker committed
    is_due: bool = True
    expires: bool = False
    is_expired: bool = False


@dataclass
class Model:
    rows: dict[int, Row] = field(default_factory=dict)
    ends: dict[int, dict[int, tuple[str, bool]]] = field(default_factory=dict)
    """By job and attempt: the outcome, and whether another attempt followed."""
    last: dict[int, Row] = field(default_factory=dict)
    """Of finished jobs: what they were, for who runs them again."""
    paused: set[str] = field(default_factory=set)
    alive: set[int] = field(default_factory=set)

    def is_held(self, key: str | None) -> bool:
        return key is not None and any(row.key == key for row in self.rows.values())

    def end(self, job: int, attempt: int, outcome: str, *, retried: bool = False) -> None:
        assert attempt not in self.ends.setdefault(job, {}), f"attempt {attempt} of job {job} would end twice"
        self.ends[job][attempt] = (outcome, retried)
        if not retried:
            self.last[job] = self.rows.pop(job)

    def is_claimed(self, assignment: Assignment, worker: int) -> bool:
        """The fence: whether this attempt is still that worker's."""
        row = self.rows.get(assignment.id)
        return row is not None and (row.state, row.attempt, row.worker) == ("running", assignment.attempt, worker)


@dataclass(frozen=True)
class Claimed:
    """An attempt that was handed to a worker once; it may be its no more."""

    worker: int
    assignment: Assignment

    def __repr__(self) -> str:
        return f"<attempt {self.assignment.attempt} of job {self.assignment.id} at worker {self.worker}>"


@dataclass(frozen=True)
class Undoable:
    act: int
    undo: Callable[[Model], list[Any]] = field(repr=False)  # what should come of it


QUEUES = st.sampled_from(["mail", "default"])
KEYS = st.sampled_from([None, None, "a", "b"])
OPTIONS = {
    "queue": QUEUES,
    "priority": st.sampled_from([0, 0, 5, -1]),
    "retries": st.sampled_from([0, 1, 2]),
    "key": KEYS,
}
OUTCOMES = st.sampled_from(["successful", "errored", "cancelled", "deferred", "lost", "lost together"])
TALLY: Counter[str] = Counter()


class Story(RuleBasedStateMachine):
    """What may happen, in any order."""

    queued = Bundle("queued")
    at_work = Bundle("at_work")
    claims = Bundle("claims")
    acts = Bundle("acts")

    def __init__(self, database: Database, connection: Connection) -> None:
        super().__init__()
        self.database, self.connection, self.schema = database, connection, database.schema
        self.model = Model()
        self.paused_by: dict[str, int] = {}  # the act that paused a queue last

    @initialize(target=at_work)
    def begin(self) -> Any:
        for table in ("jobs", "results", "workers", "queues", "kept", "audit", "aborts", "metrics"):
            self.execute(f"DELETE FROM jobq.{table}")
        for table in ("jobs", "workers", "audit"):
            self.execute(f"ALTER TABLE jobq.{table} ALTER id RESTART")
        return multiple(self.start_another(), self.start_another())

    # Enqueuers

    @precondition(lambda self: self.has_few())
    @rule(target=queued, delay=st.sampled_from([None, None, SOON]), expires=st.sampled_from([None, LATER]), **OPTIONS)
    def enqueue(self, delay: float | None, expires: float | None, **options: Any) -> Any:
        job = Work(**options)
        record = job.run_in_worker(delay=delay, expires=expires)
        return self.added(record, Row(**options, **times(delay, expires)))

    @precondition(lambda self: self.has_few())
    @rule(target=queued, many=st.lists(st.fixed_dictionaries(OPTIONS), min_size=2, max_size=4))
    def enqueue_several(self, many: list[dict[str, Any]]) -> Any:
        records = enqueue_many([Work(**options) for options in many])
        return multiple(
            *(
                job
                for record, options in zip(records, many, strict=True)
                for job in self.added(record, Row(**options)).values
            )
        )

    @rule(**OPTIONS)
    def enqueue_and_roll_back(self, **options: Any) -> None:
        with self.database.connection() as connection, connection.transaction(force_rollback=True):
            record = Work(**options).run_in_worker(connection=connection)
            assert (record is None) == self.model.is_held(options["key"])

    @precondition(lambda self: self.has_few())
    @rule(target=queued, key=KEYS)
    def enqueue_in_sql(self, key: str | None) -> Any:
        arguments = '{"queue": "mail", "priority": 0, "retries": 0, "key": null}'
        ((job,),) = self.connection.execute(
            "SELECT jobq.enqueue(%s, %s::jsonb, 'mail', unique_key => %s)", [NAME, arguments, key]
        ).fetchall()
        return self.added_id(job, Row("mail", 0, 0, key))

    def added(self, record: Any, row: Row) -> Any:
        return self.added_id(record and record.id, row)

    def added_id(self, job: int | None, row: Row) -> Any:
        assert (job is None) == self.model.is_held(row.key), "an unfinished job of the key, and no other, keeps it out"
        if job is None:
            return multiple()
        assert job not in self.model.rows
        self.model.rows[job] = row
        return multiple(job)

    def has_few(self) -> bool:
        """The same jobs are to go through much."""
        return len(self.model.rows.keys() | self.model.ends.keys()) < 5

    def has(self, state: str) -> bool:
        return any(row.state == state for row in self.model.rows.values())

    # Workers

    @precondition(lambda self: len(self.model.alive) < 2)
    @rule(target=at_work)
    def start_worker(self) -> int:
        return self.start_another()

    def start_another(self) -> int:
        worker = workers.register(
            self.connection,
            self.schema,
            host="here",
            pid=1,
            version="1",
            processes=1,
            queues=[],
            classes=[KNOWN],
        )
        self.model.alive.add(worker)
        return worker

    @precondition(lambda self: self.has("pending"))
    @rule(target=claims, worker=at_work, queues=st.sets(QUEUES, min_size=1), most=st.integers(1, 4))
    def claim(self, worker: int, queues: set[str], most: int) -> Any:
        claimed = jobs.claim(
            self.connection,
            self.schema,
            worker_id=worker,
            positions=[QueuePosition(queue) for queue in sorted(queues)],
            classes=[NAME],
            most=most,
        )
        free = {
            job: row
            for job, row in self.model.rows.items()
            if row.state == "pending" and row.queue in queues - self.model.paused and not row.is_expired
        }
        if worker not in self.model.alive:
            free = {}
        assert {assignment.id for assignment in claimed} <= free.keys()
        assert bool(claimed) == bool(free)
        assert len(claimed) <= most
        assert len(claimed) == len({assignment.id for assignment in claimed})
        self.check_order({assignment.id for assignment in claimed}, free)
        for assignment in claimed:
            row = self.model.rows[assignment.id]
            row.state, row.worker, row.claim, row.attempt = "running", worker, assignment, row.attempt + 1
            assert bool(assignment.suspected) == row.is_suspected
            assert (assignment.attempt, assignment.tries) == (row.attempt, row.attempt - row.excused)
        return multiple(*(Claimed(worker, assignment) for assignment in claimed))

    def check_order(self, taken: set[int], free: dict[int, Row]) -> None:
        for left in free.keys() - taken:
            for job in taken:
                assert free[left].priority <= free[job].priority, f"job {left} goes before job {job}"
                is_alike = (free[left].queue, free[left].priority) == (free[job].queue, free[job].priority)
                assert not (is_alike and left < job), f"job {left} came before job {job}"

    @rule(many=st.lists(claims, min_size=1, max_size=3, unique_by=lambda one: one.assignment.id), outcome=OUTCOMES)
    def report(self, many: list[Claimed], outcome: str) -> None:
        """In time or late: whoever was given an attempt once says how it ended."""
        worker = many[0].worker
        reports = [self.report_of(one.assignment, outcome) for one in many]
        counted = {one.assignment.id for one in many if self.model.is_claimed(one.assignment, worker)}
        recorded = 0
        for record, chosen in (
            (jobs.finish, [report for report in reports if report.retry_delay is None]),
            (jobs.retry, [report for report in reports if report.retry_delay is not None]),
        ):
            if chosen:
                done = record(self.connection, self.schema, worker_id=worker, reports=chosen, now=monotonic())
                recorded += done.attempts
        assert recorded == len(counted)
        for one, report in zip(many, reports, strict=True):
            if report.id in counted:
                self.ended(one.assignment, report)

    def report_of(self, assignment: Assignment, outcome: str) -> Report:
        report = Report(assignment.id, assignment.attempt, outcome, monotonic(), monotonic())
        match outcome:
            case "errored" if states.may_retry(tries=assignment.tries, retries=assignment.retries):
                return report._replace(retry_delay=SOON if assignment.id % 2 else 0.0)
            case "deferred":
                return report._replace(retry_delay=SOON, excused=True)
            case "lost":
                again = states.may_run_again(losses=assignment.losses + 1, max_losses=MAX_LOSSES)
                return report._replace(retry_delay=0.0 if again else None, excused=True, loss=True)
            case "lost together":
                return report._replace(outcome="lost", retry_delay=0.0, excused=True)
        return report

    def ended(self, assignment: Assignment, report: Report) -> None:
        row = self.model.rows[assignment.id]
        if report.retry_delay is None or row.is_to_stop:
            outcome = report.outcome if report.retry_delay is None else "cancelled"
            self.model.end(assignment.id, assignment.attempt, outcome)
            return
        self.model.end(assignment.id, assignment.attempt, report.outcome, retried=True)
        row.state, row.worker = "scheduled" if report.retry_delay else "pending", None
        row.is_due = not report.retry_delay
        row.excused += report.excused
        row.losses += report.loss
        row.is_suspected, row.has_begun = report.outcome == "lost", False

    @precondition(lambda self: self.has("pending") and self.model.alive)
    @rule(target=claims, outcome=OUTCOMES)
    def claim_and_report(self, outcome: str) -> Any:
        """What mostly happens to a job."""
        given = self.claim(max(self.model.alive), {"mail", "default"}, 1)
        if given.values:
            self.report(list(given.values), outcome)
        return given

    @rule(claimed=claims)
    def give_back(self, claimed: Claimed) -> None:
        jobs.give_back(self.connection, self.schema, worker_id=claimed.worker, assignments=[claimed.assignment])
        if not self.model.is_claimed(claimed.assignment, claimed.worker):
            return
        row = self.model.rows[claimed.assignment.id]
        if row.claim is not claimed.assignment:  # given back before, and claimed anew as the same attempt
            return
        if row.is_to_stop:
            self.model.end(claimed.assignment.id, row.attempt, "cancelled")
        else:
            row.state, row.worker, row.attempt, row.has_begun = "pending", None, row.attempt - 1, False

    @rule(claimed=claims)
    def commit_begin(self, claimed: Claimed) -> None:
        """In time or late, as with an ending."""
        begun = preparing.begin(
            self.connection, self.schema, worker_id=claimed.worker, assignments=[claimed.assignment]
        )
        is_ours = self.model.is_claimed(claimed.assignment, claimed.worker)
        assert bool(begun) == is_ours
        if is_ours:
            row = self.model.rows[claimed.assignment.id]
            row.is_suspected = row.has_begun = True

    @precondition(lambda self: self.model.alive)
    @rule(worker=at_work, tells=st.booleans(), stops=st.booleans())
    def declare_dead_and_rescue(self, worker: int, tells: bool, stops: bool) -> None:
        """Its last heartbeat told what had begun there, or is from before that; and perhaps that it stops."""
        told = {
            job: row
            for job, row in self.model.rows.items()
            if tells and (row.state, row.worker) == ("running", worker) and worker in self.model.alive
        }
        status = {"begun": {str(job): [row.attempt, 1.0] for job, row in told.items()}, "stopping": stops}
        workers.heartbeat(self.connection, self.schema, worker_id=worker, status=status)
        self.execute("UPDATE jobq.workers SET stopped_at = now(), stop_reason = 'silent' WHERE id = %s", worker)
        self.model.alive.discard(worker)
        rescued = workers.rescue(self.connection, self.schema, max_losses=MAX_LOSSES)
        orphans = {
            job: row
            for job, row in self.model.rows.items()
            if row.state == "running" and row.worker not in self.model.alive
        }
        assert {one.id for one in rescued} == orphans.keys()
        begun = {job for job, row in orphans.items() if row.has_begun or job in told}
        apart = {job for job in begun if orphans[job].has_begun}
        for job, row in orphans.items():
            if row.is_to_stop:
                self.model.end(job, row.attempt, "cancelled")
                continue
            is_alone = (apart if row.has_begun else begun) == {job}
            is_loss = job in begun and not stops and (is_alone or (row.has_begun and row.losses + 1 < MAX_LOSSES))
            if is_loss and row.losses + 1 >= MAX_LOSSES:
                self.model.end(job, row.attempt, "lost")
                continue
            self.model.end(job, row.attempt, "lost", retried=True)
            row.state, row.worker, row.excused, row.losses = "pending", None, row.excused + 1, row.losses + is_loss
            row.is_suspected, row.has_begun = row.is_suspected or not stops, False

    @precondition(lambda self: self.has("scheduled") or any(row.expires for row in self.model.rows.values()))
    @rule()
    def an_hour_passes(self) -> None:
        self.execute(
            "UPDATE jobq.jobs SET expires_at = expires_at - interval '1 hour', "
            "run_at = CASE WHEN state = 'running' THEN run_at ELSE run_at - interval '1 hour' END"
        )
        for row in self.model.rows.values():
            row.is_due = True
            row.is_expired = row.expires

    @precondition(lambda self: any(row.is_due and row.state == "scheduled" for row in self.model.rows.values()))
    @rule()
    def promote(self) -> None:
        promotion = jobs.promote(self.connection, self.schema, worker_id=0)
        due = [row for row in self.model.rows.values() if row.state == "scheduled" and row.is_due]
        assert promotion.promoted == len(due)
        for row in due:
            row.state = "pending"

    @precondition(lambda self: any(row.is_expired for row in self.model.rows.values()))
    @rule()
    def expire(self) -> None:
        expiry = jobs.expire(self.connection, self.schema)
        late = {job: row for job, row in self.model.rows.items() if row.is_expired and row.state != "running"}
        assert expiry.expired == len(late)
        for job, row in late.items():
            self.model.end(job, row.attempt + 1, "cancelled")

    # Operators

    @precondition(lambda self: self.model.rows)
    @rule(target=acts, chosen=st.sets(queued, min_size=1, max_size=3))
    def cancel(self, chosen: set[int]) -> Any:
        acted = operate.cancel(self.database, chosen)
        waiting = {job: copy(self.model.rows[job]) for job in chosen & self.model.rows.keys()}
        running = {job for job, row in waiting.items() if row.state == "running"}
        for job in running:
            del waiting[job]
            self.model.rows[job].is_to_stop = True
        assert (set(acted.done), set(acted.asked)) == (waiting.keys(), running)
        assert acted.skipped.keys() == chosen - waiting.keys() - running
        for job, row in waiting.items():
            self.model.end(job, row.attempt + 1, "cancelled")

        def undo(model: Model) -> list[int]:
            back = []
            for job, row in sorted(waiting.items()):
                is_at_rest = model.ends.get(job, {}).get(row.attempt + 1) == ("cancelled", False)
                if is_at_rest and not model.is_held(row.key):
                    del model.ends[job][row.attempt + 1]
                    model.rows[job] = copy(row)
                    back.append(job)
            return back

        return self.act(acted.act, undo)

    @precondition(lambda self: self.model.ends)
    @rule(target=acts, chosen=st.sets(queued, min_size=1, max_size=4))
    def retry(self, chosen: set[int]) -> Any:
        acted = operate.retry(self.database, chosen)
        queued: dict[int, int] = {}
        for job in sorted(chosen):
            (attempt,) = [number for number, end in self.model.ends.get(job, {}).items() if not end[1]] or [None]
            if attempt is None or job in self.model.rows or self.model.is_held(self.model.last[job].key):
                continue
            old = self.model.last[job]
            self.model.ends[job][attempt] = (self.model.ends[job][attempt][0], True)
            self.model.rows[job] = replace(
                old,
                state="pending",
                attempt=attempt,
                retries=max(old.retries, attempt),
                excused=0,
                losses=0,
                worker=None,
                is_to_stop=False,
                is_suspected=False,
                has_begun=False,
                is_due=True,
                expires=False,
                is_expired=False,
            )
            queued[job] = attempt
        assert set(acted.done) == queued.keys()
        assert acted.skipped.keys() == chosen - queued.keys()

        def undo(model: Model) -> list[int]:
            taken = []
            for job, attempt in sorted(queued.items()):
                row = model.rows.get(job)
                if row is not None and row.attempt == attempt and row.state != "running":
                    model.last[job] = model.rows.pop(job)
                    model.ends[job][attempt] = (model.ends[job][attempt][0], False)
                    taken.append(job)
            return taken

        return self.act(acted.act, undo)

    @precondition(lambda self: self.model.ends)
    @rule(target=acts, chosen=st.sets(queued, min_size=1, max_size=3))
    def purge(self, chosen: set[int]) -> Any:
        acted = operate.purge(self.database, chosen)
        gone = {job: self.model.ends.pop(job) for job in chosen - self.model.rows.keys() if job in self.model.ends}
        assert set(acted.done) == gone.keys()

        def undo(model: Model) -> list[int]:
            model.ends |= {job: dict(ends) for job, ends in gone.items()}
            return sorted(gone)

        return self.act(acted.act, undo)

    @rule(target=acts, queue=QUEUES)
    def pause(self, queue: str) -> Any:
        done = operate.pause_queues(self.database, [queue])
        assert done == ([] if queue in self.model.paused else [queue])
        self.model.paused.add(queue)
        if not done:
            return multiple()
        ((act,),) = self.execute("SELECT max(id) FROM jobq.audit").fetchall()
        self.paused_by[queue] = act

        def undo(model: Model) -> list[str]:
            if queue not in model.paused or self.paused_by[queue] != act:
                return []
            model.paused.discard(queue)
            return [queue]

        return self.act(act, undo)

    @precondition(lambda self: self.model.paused)
    @rule(queue=QUEUES)
    def resume(self, queue: str) -> None:
        assert operate.resume_queues(self.database, [queue]) == ([queue] if queue in self.model.paused else [])
        self.model.paused.discard(queue)

    def act(self, act: int | None, undo: Callable[[Model], list[Any]]) -> Any:
        return multiple() if act is None else multiple(Undoable(act, undo))

    @rule(chosen=acts)
    def undo(self, chosen: Undoable) -> None:
        ((undone_at,),) = self.execute("SELECT undone_at FROM jobq.audit WHERE id = %s", chosen.act).fetchall()
        try:
            _, acted = operate.undo(self.database, chosen.act)
        except ActNotUndone:
            assert undone_at is not None or not chosen.undo(self.model)
            return
        assert undone_at is None
        expected = chosen.undo(self.model)
        assert (acted.act is not None) == bool(expected)
        if all(isinstance(job, int) for job in expected):
            assert acted.done == expected

    @precondition(lambda self: self.model.rows or self.model.ends)
    @rule(
        chosen=st.sets(queued, min_size=1, max_size=2),
        verb=st.sampled_from(["cancel", "cancel", "retry", "purge"]),
        meanwhile=st.sampled_from(["nothing", "retried", "worked", "retried and worked"]),
    )
    def act_and_regret_it(self, chosen: set[int], verb: str, meanwhile: str) -> None:
        """What operators undo they mostly did a moment ago."""
        acts = getattr(self, verb)(chosen).values
        if "retried" in meanwhile:
            self.retry(chosen)
        if "worked" in meanwhile and self.has("pending") and self.model.alive:
            self.claim_and_report("successful")
        for act in acts:
            self.undo(act)

    # What must always hold

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        rows = self.execute(
            "SELECT id, queue, priority, retries, unique_key, state, attempt, excused, losses, worker_id, "
            "cancel_requested_at IS NOT NULL, expires_at IS NOT NULL, coalesce(suspected, false), begun_at IS NOT NULL "
            "FROM jobq.jobs"
        ).fetchall()
        assert {row[0]: row[1:] for row in rows} == {
            job: (
                *(row.queue, row.priority, row.retries, row.key, row.state, row.attempt, row.excused, row.losses),
                *(row.worker, row.is_to_stop, row.expires, row.is_suspected, row.has_begun),
            )
            for job, row in self.model.rows.items()
        }
        results = self.execute("SELECT id, attempt, outcome, retried FROM jobq.results").fetchall()
        ends = [(job, *end[:1], *end[1]) for job, by_attempt in self.model.ends.items() for end in by_attempt.items()]
        assert sorted(results) == sorted(ends), "an attempt has one end, and what has ended is not forgotten"
        for job, by_attempt in self.model.ends.items():
            final = [attempt for attempt, (_, retried) in by_attempt.items() if not retried]
            assert len(final) == (job not in self.model.rows), f"job {job} is in one place"
            assert max(by_attempt, default=0) <= (self.model.rows[job].attempt if job in self.model.rows else final[0])
        keys = [row.key for row in self.model.rows.values() if row.key is not None]
        assert len(keys) == len(set(keys))
        TALLY["steps"] += 1

    def execute(self, statement: str, *parameters: Any) -> Any:
        return self.connection.execute(statement.encode(), parameters or None)


def times(delay: float | None, expires: float | None) -> dict[str, Any]:
    return {"state": "scheduled" if delay else "pending", "is_due": not delay, "expires": expires is not None}


def tell_stories(database: Database, *, stories: int, steps: int, seed: int) -> None:
    """Raises AssertionError with the shortest story that was found where one ends badly."""
    with database.connect("test", walk_indexes=True) as connection:
        run_state_machine_as_test(
            hypothesis.seed(seed)(lambda: Story(database, connection)),
            settings=settings(
                max_examples=stories,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", help="an empty database; default: an embedded server of its own")
    chosen = parser.parse_args()
    with migrated(chosen.database_url) as database:
        began = monotonic()
        while TALLY["steps"] < chosen.steps:
            stories = max(1, min(100, (chosen.steps - TALLY["steps"]) // 100))
            tell_stories(database, stories=stories, steps=100, seed=chosen.seed + TALLY["steps"])
            print(f"{TALLY['steps']:,} steps in {monotonic() - began:.0f} s, and every promise was kept", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
