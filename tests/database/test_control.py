"""An operator's word in the database: requests to stop, expiry, hooks that are owed, progress, stacks, pauses."""

from typing import Any

import pytest

from jobq import operate
from jobq.errors import WorkerNotFound
from jobq.runtime.control import Control
from jobq.runtime.ownership import Ownership
from jobq.states import Outcome
from jobq.store import control, workers
from jobq.store.control import ProgressReport
from jobq.store.database import Database


def claim_one(store: Any, **fields: Any) -> tuple[int, Any]:
    store.add(**fields)
    worker = store.worker()
    (assignment,) = store.claim(worker)
    return worker, assignment


def wanted(store: Any, worker: int) -> control.Wanted:
    return control.wanted(store.connection, store.schema, worker_id=worker)


def test_a_worker_sees_when_another_was_heard_of_and_whether_one_has_left_of_late(store: Any) -> None:
    seeing, seen = store.worker(), store.worker()
    before = wanted(store, seeing)
    assert (before.beats.keys(), before.has_left) == ({seeing, seen}, False)
    workers.heartbeat(store.connection, store.schema, worker_id=seen, status={})
    after = wanted(store, seeing)
    assert after.beats[seeing] == before.beats[seeing]
    assert after.beats[seen] > before.beats[seen]
    for stopped, is_seen in (
        ("now()", True),
        ("now() - interval '1 minute'", False),
        ("now() + interval '1 minute'", False),  # the clock of the database was put back since
    ):
        store.execute(f"UPDATE jobq.workers SET stopped_at = {stopped} WHERE id = {seen}")
        looked = wanted(store, seeing)
        assert (looked.beats.keys(), looked.has_left) == ({seeing}, is_seen), stopped


def test_a_worker_is_named_once_whoever_asks_for_one_that_is_not_there(store: Any, database: Database) -> None:
    for pid in (7, 8):
        store.worker(host="web", pid=pid)
    with pytest.raises(WorkerNotFound) as error:
        operate.stop_workers(database, ["web/9"])
    assert "Live workers: web/7, web/8. See" in str(error.value)


def test_a_worker_is_asked_once_under_its_name_and_its_number(store: Any, database: Database) -> None:
    worker = store.worker(host="web", pid=7)
    acted = operate.stop_workers(database, ["web/7", str(worker)])
    assert (acted.ids, acted.done, acted.skipped) == ([worker], ["web/7"], {})


def test_of_two_workers_with_one_name_the_silent_one_is_declared_dead(store: Any, database: Database) -> None:
    """As where a container with a fixed host name was killed and started again: its first process has the same id."""
    killed, alive = store.worker(host="web", pid=1), store.worker(host="web", pid=1)
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '50 seconds' WHERE id = %s", killed)

    acted = operate.declare_dead(database, ["web/1"])

    assert (acted.ids, acted.done, acted.skipped) == ([killed], [f"web/1#{killed}"], {})
    assert [row.id for row in store.rows("SELECT id FROM jobq.workers WHERE stopped_at IS NULL")] == [alive]


def test_a_request_to_stop_is_noted_by_whom_and_leaves_the_job_running(store: Any) -> None:
    worker, assignment = claim_one(store)

    assert store.request_cancel(assignment.id) == [assignment.id]

    job = store.job(assignment.id)
    assert (job.state, job.cancel_requested_by) == ("running", "ada@here")
    (request,) = wanted(store, worker).to_stop
    assert (request.job_id, request.attempt, request.requested_by) == (assignment.id, 1, "ada@here")


def test_who_asked_first_is_who_asked(store: Any) -> None:
    _, assignment = claim_one(store)
    store.request_cancel(assignment.id)
    first = store.job(assignment.id).cancel_requested_at
    store.execute("UPDATE jobq.jobs SET cancel_requested_by = 'bob@there'")

    assert store.request_cancel(assignment.id) == [assignment.id]

    job = store.job(assignment.id)
    assert (job.cancel_requested_at, job.cancel_requested_by) == (first, "bob@there")


def test_only_a_running_job_can_be_asked_to_stop(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.finish(worker, report(assignment))
    waiting = store.add()

    assert store.request_cancel(assignment.id, waiting) == []
    assert store.job(waiting).cancel_requested_at is None


def test_a_request_that_comes_after_the_end_changes_nothing(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.request_cancel(assignment.id)
    store.finish(worker, report(assignment, value="1"))

    assert store.request_cancel(assignment.id) == []
    (result,) = store.results()
    assert (result.outcome, result.value) == ("successful", 1)


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.LOST, Outcome.DEFERRED])
def test_a_job_that_is_to_stop_is_not_run_again(outcome: Outcome, store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, retries=3)
    store.request_cancel(assignment.id)

    store.retry(worker, report(assignment, outcome, retry_delay=0.0, error_message="boom", traceback="where"))

    assert store.unfinished() == []
    (result,) = store.results()
    assert (result.outcome, result.retried, result.traceback) == ("cancelled", False, "where")
    assert result.error_message == "cancelled by ada@here; boom"


def test_a_job_that_is_to_stop_ends_as_cancelled_when_it_is_rescued(store: Any) -> None:
    worker, assignment = claim_one(store, has_abort_hook=True)
    store.request_cancel(assignment.id)
    store.declare_dead(worker)

    (rescued,) = store.rescue()

    assert (rescued.retried, rescued.is_owed_hook) == (False, True)
    assert store.unfinished() == []
    (result,) = store.results()
    assert (result.outcome, result.retried, result.error_type) == ("cancelled", False, "WorkerLost")
    assert result.error_message.startswith("cancelled by ada@here; worker here/1")


def test_a_job_that_is_to_stop_ends_as_cancelled_when_it_is_given_back(store: Any) -> None:
    store.add(has_abort_hook=True)
    store.add()
    worker = store.worker()
    stopped, other = store.claim(worker)
    store.request_cancel(stopped.id)

    assert store.give_back(worker, stopped, other) == ["default"]

    assert [(job.id, job.state, job.attempt) for job in store.unfinished()] == [(other.id, "pending", 0)]
    (result,) = store.results()
    assert (result.outcome, result.attempt, result.started_at) == ("cancelled", 1, None)
    assert result.error_message == "cancelled by ada@here"
    assert [hook.job_id for hook in store.owed_hooks()] == [stopped.id]


def test_an_expired_job_is_not_claimed(store: Any) -> None:
    store.add(expires_in=60.0)
    expired = store.add(expires_in=60.0)
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second' WHERE id = %s", expired)

    assert [assignment.id for assignment in store.claim(store.worker())] == [1]


def test_an_expired_job_ends_as_cancelled_and_the_next_one_is_foretold(store: Any) -> None:
    expired = store.add(expires_in=60.0, delay=10)
    later = store.add(expires_in=60.0)
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second' WHERE id = %s", expired)

    assert store.promote().next_expiry_seconds <= 0, "a look finds that there is something to end"
    expiry = store.expire()

    assert (expiry.expired, expiry.owed) == (1, 0)
    assert expiry.next_expiry_seconds == pytest.approx(60, abs=30)
    assert store.promote().next_expiry_seconds == pytest.approx(60, abs=30)
    assert [job.id for job in store.unfinished()] == [later]
    (result,) = store.results()
    assert (result.id, result.outcome, result.attempt, result.started_at) == (expired, "cancelled", 1, None)
    assert result.error_message.startswith("cancelled (expired)")


def test_a_job_that_has_begun_does_not_expire(store: Any) -> None:
    claim_one(store, expires_in=60.0)
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second'")

    assert store.expire().expired == 0
    assert store.unfinished()[0].state == "running"


def test_no_attempt_begins_after_the_time_to_expire_not_even_a_retry(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, expires_in=60.0, retries=3)
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second'")
    store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=0.0))

    assert store.claim(worker) == []
    assert store.expire().expired == 1
    assert [result.outcome for result in store.results()] == ["errored", "cancelled"]


def test_a_job_queued_again_by_hand_keeps_its_timeout_and_does_not_expire(store: Any) -> None:
    job = store.add(expires_in=60.0, timeout=5.0, has_abort_hook=True)
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second'")
    store.expire()

    store.retry_by_hand(job)

    queued = store.job(job)
    assert (queued.timeout, queued.expires_at, queued.has_abort_hook) == (5.0, None, True)


@pytest.mark.parametrize("has_abort_hook", [True, False])
@pytest.mark.parametrize("aborted", [True, False])
def test_a_hook_is_owed_for_what_could_not_see_its_end_and_has_one(
    store: Any, report: Any, has_abort_hook: bool, aborted: bool
) -> None:
    worker, assignment = claim_one(store, has_abort_hook=has_abort_hook, arguments='{"to": "ada"}')

    store.finish(worker, report(assignment, Outcome.CANCELLED, aborted=aborted, error_message="why"))

    owed = store.owed_hooks()
    assert bool(owed) == (aborted and has_abort_hook)
    for hook in owed:
        assert (hook.job_id, hook.attempt, hook.arguments) == (assignment.id, 1, {"to": "ada"})
        assert hook.result["outcome"] == "cancelled"
        assert hook.result["error_message"] == "why"


def test_a_hook_is_owed_for_each_lost_attempt(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, has_abort_hook=True)
    lost = report(assignment, Outcome.LOST, retry_delay=0.0, excused=True, loss=True, aborted=True)
    store.retry(worker, lost)
    store.declare_dead(worker, *store.claim(worker))
    store.rescue(max_losses=2)

    assert [(hook.attempt, hook.result["retried"]) for hook in store.owed_hooks()] == [(1, True), (2, False)]


def test_a_job_cancelled_while_no_worker_runs_is_owed_its_hook(store: Any) -> None:
    job = store.add(has_abort_hook=True)

    store.cancel(job)

    (hook,) = store.owed_hooks()
    assert (hook.job_id, hook.attempt, hook.worker_id) == (job, 1, None)


def take(store: Any, worker: int, *classes: str) -> list[Any]:
    return control.take_aborts(
        store.connection, store.schema, worker_id=worker, classes=classes or ("shop.jobs.Work",), limit=10
    )


def owe_one(store: Any) -> None:
    store.cancel(store.add(has_abort_hook=True, job_class="shop.jobs.Work"))


def test_a_hook_is_taken_up_by_one_worker_that_knows_its_class(store: Any) -> None:
    owe_one(store)
    first, second = store.worker(), store.worker()

    assert take(store, first, "shop.jobs.Other") == []
    (hook,) = take(store, first)
    assert hook.id < 0
    assert hook.hook is not None
    assert take(store, second) == []


def test_a_hook_is_taken_up_again_when_its_worker_is_gone_but_not_without_end(store: Any) -> None:
    owe_one(store)
    for _ in range(control.MAX_HOOK_TRIES):
        worker = store.worker()
        assert len(take(store, worker)) == 1
        store.declare_dead(worker)

    assert take(store, store.worker()) == []
    assert store.owed_hooks() == []


def test_a_hook_that_was_not_begun_goes_to_another_and_does_not_count(store: Any) -> None:
    owe_one(store)
    first, second = store.worker(), store.worker()
    (hook,) = take(store, first)

    control.leave_aborts(store.connection, store.schema, worker_id=first, ids=[-hook.id])

    assert [taken.id for taken in take(store, second)] == [hook.id]
    assert store.owed_hooks()[0].tries == 1
    control.made_aborts(store.connection, store.schema, worker_id=second, ids=[-hook.id])
    assert store.owed_hooks() == []


def test_progress_is_kept_for_the_attempt_that_said_it(store: Any) -> None:
    worker, assignment = claim_one(store)

    def tell(attempt: int, done: int) -> None:
        control.store_progress(
            store.connection,
            store.schema,
            worker_id=worker,
            reports=[ProgressReport(assignment.id, attempt, f'{{"done": {done}}}')],
        )

    tell(1, 5)
    tell(2, 9)

    progress = store.job(assignment.id).progress
    assert (progress["done"], progress["attempt"]) == (5, 1)
    stranger, said = store.worker(), [ProgressReport(assignment.id, 1, '{"done": 7}')]
    control.store_progress(store.connection, store.schema, worker_id=stranger, reports=said)
    assert store.job(assignment.id).progress == progress, "a stranger's word"


def test_progress_that_is_refused_costs_no_other_job_its_own(store: Any) -> None:
    worker = store.worker()
    store.add_many({}, {}, {})
    jobs = [assignment.id for assignment in store.claim(worker)]
    names = ("on_cancel", "on_stack", "on_hooks", "on_look", "on_follows", "hooks_wanted")
    deaf = dict.fromkeys(names, lambda *_: None)
    told = Control(Database(store.settings), Ownership(worker), **deaf)

    told.tell_progress([(job, 1, {"done": done}) for job, done in zip(jobs, (1, float("nan"), "\0"), strict=True)])
    told.tell_progress([(jobs[0], 1, {"done": 3})])
    told.tick(store.connection)

    assert [(job.progress or {}).get("done") for job in store.unfinished()] == [3, None, None]
    assert not told.has_to_write


def test_a_question_about_a_stack_goes_to_the_worker_and_its_answer_is_read_once(store: Any) -> None:
    worker, assignment = claim_one(store)

    asked = control.request_stack(store.connection, store.schema, assignment.id)

    assert asked is not None
    (question,) = wanted(store, worker).stacks
    assert (question.id, question.job_id, question.attempt) == (asked.id, assignment.id, 1)
    assert control.read_stack(store.connection, store.schema, asked.id) is None
    control.answer_stack(store.connection, store.schema, request_id=asked.id, stack="here")
    assert (wanted(store, worker).to_stop, wanted(store, worker).stacks) == ([], [])
    assert control.read_stack(store.connection, store.schema, asked.id) == "here"
    assert control.read_stack(store.connection, store.schema, asked.id) is None


def test_a_job_that_does_not_run_has_no_stack(store: Any) -> None:
    assert control.request_stack(store.connection, store.schema, store.add()) is None


def pause(store: Any, *queues: str, by: str = "ada@here", reason: str | None = None) -> list[str]:
    return control.pause_queues(store.connection, store.schema, queues, paused_by=by, reason=reason)


def test_nothing_is_claimed_from_a_paused_queue_until_it_is_resumed(store: Any) -> None:
    store.add()
    worker = store.worker()

    assert pause(store, "default", "other", reason="too hot") == ["default", "other"]
    assert store.claim(worker) == []
    assert control.resume_queues(store.connection, store.schema, ["default", "never"], act=1) == ["default"]
    assert len(store.claim(worker)) == 1


def test_who_paused_a_queue_first_stays_named(store: Any) -> None:
    pause(store, "default", reason="too hot")

    assert pause(store, "default", by="bob@there") == []
    (queue,) = store.rows("SELECT * FROM jobq.queues")
    assert (queue.paused_by, queue.pause_reason) == ("ada@here", "too hot")


def test_what_an_attempt_used_is_recorded(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, timeout=5.0, retries=1)
    store.retry(
        worker,
        report(assignment, Outcome.ERRORED, retry_delay=0.0, cpu_microseconds=1_500_000, peak_memory_kilobytes=2048),
    )
    (assignment,) = store.claim(worker)
    assert assignment.timeout == 5.0
    store.finish(worker, report(assignment, cpu_microseconds=250_000, peak_memory_kilobytes=1024))

    used = [(result.cpu_seconds, result.peak_memory_kilobytes, result.timeout) for result in store.results()]
    assert used == [(1.5, 2048, 5.0), (0.25, 1024, 5.0)]
