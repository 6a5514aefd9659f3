"""The parts of control that need no worker: the memory, the guard, stacks, directives, what a running job knows."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobq import Cancel, Defer, Fail, Job, JobCancelled, JobTimedOut
from jobq.errors import EnqueueError, JobqError, NotRunning
from jobq.names import name_of
from jobq.options import checked_expiry, checked_timeout
from jobq.records import Assignment, AttemptRecord, Report
from jobq.registration import add_class
from jobq.registry import Registry
from jobq.runtime.execution import execute
from jobq.runtime.guard import INTERRUPT, Guard
from jobq.runtime.protocol import Order, OrderKind
from jobq.runtime.shared_memory import MAX_NOTE_BYTES, ORDER, PROGRESS, SharedMemory
from jobq.runtime.stacks import readable


def assignment_of(job_class: type[Job], **fields: Any) -> Assignment:
    defaults = {"id": 7, "attempt": 2, "excused": 1, "losses": 0, "retries": 0, "priority": 3}
    given = {"enqueued_microseconds": 1_500_000, "queue": "mail", "job_class": name_of(job_class), "arguments": "{}"}
    return Assignment(**{**defaults, **given, **fields})


def run(job_class: type[Job], guard: Guard | None = None, **fields: Any) -> Report:
    registry = Registry()
    add_class(registry, job_class)
    return execute(assignment_of(job_class, **fields), registry, guard)


# The memory


@pytest.fixture
def sides() -> Iterator[tuple[SharedMemory, SharedMemory]]:
    """Both sides of one: the supervisor's, the child's."""
    memory = SharedMemory.of_supervisor()
    yield memory, SharedMemory.of_child(memory.fd)
    memory.close()


def test_each_side_reads_what_the_other_has_written_last(sides: tuple[SharedMemory, SharedMemory]) -> None:
    supervisor, child = sides
    assert supervisor.read(PROGRESS) is None
    child.write(PROGRESS, b"first and longer")
    child.write(PROGRESS, b"second")
    supervisor.write(ORDER, b"stop")
    assert (supervisor.read(PROGRESS), child.read(ORDER)) == (b"second", b"stop")


def test_a_note_that_is_half_written_is_not_read(sides: tuple[SharedMemory, SharedMemory]) -> None:
    supervisor, child = sides
    child.write(PROGRESS, b"a note")
    os.pwrite(supervisor.fd, b"x", PROGRESS + 10)
    assert supervisor.read(PROGRESS) is None


def test_a_job_that_cuts_the_board_short_harms_nobody_else(sides: tuple[SharedMemory, SharedMemory]) -> None:
    supervisor, _ = sides
    os.ftruncate(supervisor.fd, 0)
    assert supervisor.read(PROGRESS) is None
    assert supervisor.stack_bytes() == 0
    assert supervisor.take_stacks() == ""


def test_the_longest_progress_fits(sides: tuple[SharedMemory, SharedMemory]) -> None:
    _, child = sides

    class Tells(Job):
        def run(self) -> None:
            for character in "x", "\u20ac", "\U0001f600", "\x01", '"', "\0", "\ud800":
                self.progress(-(10**15), 10**15 / 3, character * 10_000)

    assert run(Tells, Guard(child)).outcome == "successful"
    note = child.read(PROGRESS)
    assert note is not None
    assert len(note) < MAX_NOTE_BYTES


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, "7"])
def test_progress_that_is_no_number_is_refused_where_it_is_told(value: Any) -> None:
    class Tells(Job):
        def run(self) -> None:
            self.progress(value)

    report = run(Tells)

    assert report.error_type in ("TypeError", "ValueError")
    assert "progress: done is" in (report.error_message or "")


# The guard


@pytest.fixture
def guarded(sides: tuple[SharedMemory, SharedMemory]) -> Iterator[tuple[Guard, Callable[..., None]]]:
    """A guard that hears signals, and what gives it an order."""
    supervisor, child = sides
    guard = Guard(child)
    before = signal.signal(INTERRUPT, guard._on_signal)

    def give(job_id: int = 7, attempt: int = 2, kind: OrderKind = OrderKind.CANCEL) -> None:
        supervisor.write(ORDER, Order(job_id, attempt, kind, "cancelled by ada@here").pack())
        signal.raise_signal(INTERRUPT)

    yield guard, give
    signal.signal(INTERRUPT, before)


def test_an_order_is_raised_in_the_users_code_and_nowhere_else(guarded: Any) -> None:
    guard, give = guarded
    give()

    guard.open(8, 1)
    guard.close()
    give()

    with pytest.raises(JobCancelled, match="ada"):
        guard.open(7, 2)


def test_an_order_for_another_attempt_hits_nothing(guarded: Any) -> None:
    guard, give = guarded
    guard.open(7, 3)
    give()
    give(job_id=8)
    assert guard.delivered is None


def test_an_order_is_raised_once(guarded: Any) -> None:
    guard, give = guarded
    guard.open(7, 2)
    with pytest.raises(JobTimedOut):
        give(kind=OrderKind.TIMEOUT)
    give(kind=OrderKind.CANCEL)
    give(kind=OrderKind.TIMEOUT)


@pytest.mark.parametrize("begins", [True, False])
def test_a_job_that_was_to_stop_before_it_began_does_not_begin(guarded: Any, begins: bool) -> None:
    guard, give = guarded
    ran = []

    class Runs(Job):
        def run(self) -> None:
            ran.append(1)
            give()

    if not begins:
        give()
    report = run(Runs, guard)

    assert (report.outcome, report.error_message) == ("cancelled", "cancelled by ada@here")
    assert (bool(ran), report.aborted, report.started is None) == (begins, not begins, not begins)


def test_whatever_is_raised_after_a_cancel_the_attempt_is_cancelled(guarded: Any) -> None:
    guard, give = guarded

    class Turns(Job):
        def run(self) -> None:
            try:
                give()
            finally:
                raise ValueError("in the middle of it")

    report = run(Turns, guard, retries=9)

    assert (report.outcome, report.retry_delay) == ("cancelled", None)
    assert "JobCancelled" in (report.traceback or "")
    assert "in the middle of it" in (report.traceback or "")


def test_a_job_may_answer_its_timeout_by_a_directive(guarded: Any) -> None:
    guard, give = guarded

    class Defers(Job):
        def run(self) -> None:
            try:
                give(kind=OrderKind.TIMEOUT)
            except JobTimedOut:
                raise Defer(5) from None

    report = run(Defers, guard)

    assert (report.outcome, report.retry_delay, report.excused) == ("deferred", 5.0, True)


def test_an_order_cancels_a_coroutine_where_it_waits(guarded: Any) -> None:
    guard, give = guarded
    cleaned = []

    class Awaits(Job):
        async def run(self) -> None:
            import asyncio

            asyncio.get_running_loop().call_soon(give)
            try:
                await asyncio.sleep(60)
            finally:
                cleaned.append(1)

    report = run(Awaits, guard)

    assert (report.outcome, cleaned) == ("cancelled", [1])


# Stacks


def test_stacks_read_like_tracebacks_with_the_main_thread_first() -> None:
    written = (
        'Thread 0x00007f01 (most recent call first):\n  File "/lib/threading.py", line 2 in wait\n\n'
        'Current thread 0x00007f02 (most recent call first):\n  File "/app/jobs.py", line 9 in deep\n'
        '  File "/app/jobs.py", line 5 in run\n  File "<frozen runpy>", line 88 in _run_code\n'
    )
    assert readable(written) == (
        'main thread (most recent call last):\n  File "/app/jobs.py", line 5, in run\n'
        '  File "/app/jobs.py", line 9, in deep\n\n'
        'another thread (most recent call last):\n  File "/lib/threading.py", line 2, in wait\n'
    )
    assert readable("") == ""


# Directives, and what a job knows


def test_a_job_knows_itself_while_it_runs_and_not_before() -> None:
    class Knows(Job):
        def run(self) -> Any:
            found = self.job
            return [found.id, found.attempt, found.tries, found.queue, found.priority, found.enqueued_at.isoformat()]

    report = run(Knows)

    assert json.loads(report.value or "") == [7, 2, 1, "mail", 3, "1970-01-01T00:00:01.500000+00:00"]
    with pytest.raises(NotRunning):
        _ = Knows().job
    assert not hasattr(Knows(), "job")
    assert not Knows().cancel_requested
    Knows().progress(1)


def test_a_job_may_have_an_attribute_called_job() -> None:
    class Has(Job):
        def __init__(self) -> None:
            self.job = "mine"  # type: ignore[assignment]

        def run(self) -> Any:
            return self.job

    assert run(Has).value == '"mine"'


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "soon", True, timedelta(days=-1)])
def test_a_deferral_by_what_is_no_delay_is_an_error_that_says_so(delay: Any) -> None:
    with pytest.raises(JobqError, match="must be seconds or a timedelta"):
        Defer(delay)


def test_directives_name_the_outcome() -> None:
    class Directs(Job):
        error: Exception

        def run(self) -> None:
            raise self.error

    outcomes = []
    for error in (Fail("a"), Cancel("b"), Defer(3), Defer(timedelta(minutes=1), counts_as_attempt=True)):
        Directs.error = error
        report = run(Directs, retries=5)
        outcomes.append((report.outcome, report.retry_delay, report.excused))
    assert outcomes == [
        ("errored", None, False),
        ("cancelled", None, False),
        ("deferred", 3.0, True),
        ("deferred", 60.0, False),
    ]


def test_a_hook_gets_the_result_of_the_attempt_that_was_cut_off() -> None:
    told: list[tuple[int, AttemptRecord]] = []

    class Hooked(Job):
        def run(self) -> None:
            raise AssertionError

        def on_aborted(self, result: AttemptRecord) -> None:
            told.append((self.job.id, result))

    ended = datetime(2026, 11, 24, tzinfo=UTC)
    result = {
        "attempt": 2,
        "outcome": "lost",
        "retried": True,
        "started_at": None,
        "ended_at": ended.isoformat(),
        "error_type": "ProcessDied",
        "error_message": "why",
    }
    hook = json.dumps({"job_id": 12, "result": result})

    report = run(Hooked, id=-3, hook=hook)

    assert report.error_type is None
    ((job, seen),) = told
    assert (job, seen.outcome, seen.retried, seen.started_at, seen.ended_at) == (12, "lost", True, None, ended)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True, timedelta(0)])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(EnqueueError, match="timeout is"):
        checked_timeout(timeout)


def test_an_expiry_is_seconds_a_timedelta_or_a_time_after_the_job_is_due() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert checked_expiry(None, 0.0, None) == (None, None)
    assert checked_expiry(timedelta(minutes=1), 5.0, None) == (60.0, None)
    assert checked_expiry(moment, 0.0, None) == (None, moment)
    for expires, delay, run_at in ((5, 5.0, None), (moment, 0.0, moment), (datetime(2030, 1, 1), 0.0, None)):  # noqa: DTZ001
        with pytest.raises(EnqueueError, match="expires is"):
            checked_expiry(expires, delay, run_at)
