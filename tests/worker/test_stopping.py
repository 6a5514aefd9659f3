"""Control of running jobs, as a worker does it: stopping, limits, directives, progress, stacks, hooks, pauses."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import jobq
from jobq import observe, operate

if TYPE_CHECKING:
    from conftest import Application, Store
    from jobq.store.database import Database

Eventually = Callable[..., Any]

JOBS = '''
import os
import signal
import threading
import time
from pathlib import Path

from jobq import Cancel, Defer, Fail, Job, JobCancelled, register_job


@register_job
class Echo(Job):
    def run(self):
        return os.getpid()


class Noted(Job):
    """Writes down what happens to it."""

    def __init__(self, notes):
        self.notes = Path(notes)

    def note(self, word):
        with open(self.notes, "a") as file:
            file.write(f"{word}\\n")

    def on_aborted(self, result):
        self.note(f"aborted:{self.job.id}:{result.attempt}:{result.outcome}:{result.retried}")


@register_job
class Wait(Noted):
    def run(self):
        self.note(f"begun:{os.getpid()}")
        while not self.notes.with_suffix(".go").exists():
            time.sleep(0.005)
        return "done"


@register_job
class Catches(Noted):
    """Takes the exception for what it is, and ends in its own way."""

    def __init__(self, notes, end):
        super().__init__(notes)
        self.end = end

    def run(self):
        self.note("begun")
        try:
            time.sleep(3600)
        except JobCancelled as error:
            self.note(f"caught:{self.cancel_requested}")
            if self.end == "return":
                return str(error)
            raise ValueError("in the middle of it") from None


@register_job
class Kills(Noted):
    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


@register_job
class Directs(Job):
    def __init__(self, how):
        self.how = how

    def run(self):
        return getattr(self, self.how)()

    def defer(self):
        if self.job.attempt == 1:
            raise Defer(0, "not yet")
        return [self.job.id, self.job.attempt, self.job.tries, self.job.queue]

    def defer_an_hour(self):
        raise Defer(3600)

    def defer_counting(self):
        raise Defer(0, counts_as_attempt=True)

    def fail(self):
        raise Fail("no use") from ValueError("the cause")

    def cancel(self):
        raise Cancel("not needed")


@register_job
class Works(Noted):
    """Says how far it is, far too often, and then nothing more until it is let go."""

    def run(self):
        for done in range(10_000):
            self.progress(done + 1, 10_000, f"step {done + 1}")
        self.note("begun")
        while not self.notes.with_suffix(".go").exists():
            time.sleep(0.005)


@register_job
class Eats(Job):
    def __init__(self, megabytes, seconds=0):
        self.megabytes, self.seconds = megabytes, seconds

    def run(self):
        kept = bytearray(self.megabytes * 1_000_000)
        for place in range(0, len(kept), 4096):
            kept[place] = 1
        time.sleep(self.seconds)
        return os.getpid()


@register_job
class Keeps(Eats):
    kept = []

    def run(self):
        Keeps.kept.append(bytearray(b"x") * (self.megabytes * 1_000_000))
        return os.getpid()


@register_job
class Burns(Job):
    def run(self):
        began = time.process_time()
        while time.process_time() - began < 0.2:
            pass


@register_job
class BrokenHook(Job):
    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def on_aborted(self, result):
        raise RuntimeError("the hook itself")
'''


@pytest.fixture
def controlled(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


class Notes:
    """What a job has written down, and the file that lets it go."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def words(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []

    @property
    def has_begun(self) -> bool:
        return any(word.startswith("begun") for word in self.words())

    def let_go(self) -> None:
        self.path.with_suffix(".go").touch()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


def add(store: "Store", job_class: str, **fields: Any) -> int:
    arguments = {name: fields.pop(name) for name in list(fields) if name not in FIELDS}
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments, default=str), **fields)
    assert job_id is not None
    return job_id


FIELDS = {"queue", "priority", "retries", "delay", "timeout", "expires_in", "has_abort_hook"}


def ends(store: "Store", job: int) -> list[tuple[str, bool]]:
    return [(result.outcome, result.retried) for result in store.results(job)]


def drain(application: "Application", *arguments: str) -> str:
    finished = application.jobq("run", "--drain", "--max-processes", "1", *arguments)
    assert finished.returncode in (0, 1), finished.stderr  # 1: a job came to rest, and not with success
    return finished.stderr


# Cancelling


def test_a_running_job_is_stopped_where_it_is_and_by_whom_is_kept(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    with controlled.start("run", "--max-processes", "1"):
        eventually(lambda: notes.has_begun)
        acted = operate.cancel(database, [job])
        assert (acted.done, acted.asked, acted.skipped) == ([], [job], {})
        ended = jobq.wait([job], timeout=30)
        after = add(store, "Echo")
        eventually(lambda: store.results(after))

    assert ended[job].outcome == "cancelled"
    (result,) = store.results(job)
    assert result.error_type == "Cancelled"
    assert result.error_message.startswith("cancelled by ")
    assert "@" in result.error_message
    assert "time.sleep(0.005)" in result.traceback or "go" in result.traceback
    assert store.owed_hooks() == []
    begun = next(word for word in notes.words() if word.startswith("begun"))
    assert store.results(after)[0].value != int(begun.partition(":")[2]), "an interrupted process is replaced"


def test_siblings_of_a_stopped_job_do_not_notice(
    controlled: "Application", store: "Store", database: "Database", tmp_path: Path, eventually: Eventually
) -> None:
    stopped, other = Notes(tmp_path / "stopped"), Notes(tmp_path / "other")
    first, second = add(store, "Wait", notes=stopped), add(store, "Wait", notes=other)
    with controlled.start("run", "--max-processes", "2"):
        eventually(lambda: stopped.has_begun and other.has_begun)
        operate.cancel(database, [first])
        eventually(lambda: ends(store, first) == [("cancelled", False)])
        other.let_go()
        eventually(lambda: ends(store, second) == [("successful", False)])


@pytest.mark.parametrize(("end", "outcome"), [("return", "successful"), ("raise", "cancelled")])
def test_a_job_that_catches_the_cancel_may_still_end_in_time_and_else_is_cancelled(
    controlled: "Application",
    store: "Store",
    database: "Database",
    notes: Notes,
    eventually: Eventually,
    end: str,
    outcome: str,
) -> None:
    job = add(store, "Catches", notes=notes, end=end, retries=5)
    with controlled.start("run", "--max-processes", "1"):
        eventually(lambda: notes.has_begun)
        operate.cancel(database, [job])
        eventually(lambda: ends(store, job) == [(outcome, False)])

    assert "caught:True" in notes.words()
    assert store.unfinished() == []


def test_a_cancel_reaches_the_worker_without_notifications_too(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    with controlled.start("run", environment={"JOBQ_LISTEN": "false", "JOBQ_POLL_EVERY": "0.2"}):
        eventually(lambda: notes.has_begun)
        operate.cancel(database, [job])
        eventually(lambda: ends(store, job) == [("cancelled", False)])


def test_a_cancel_is_obeyed_while_the_worker_stops(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    with controlled.start("run") as worker:
        eventually(lambda: notes.has_begun)
        worker.signal(signal.SIGTERM)
        eventually(lambda: "stopping" in worker.stderr)
        operate.cancel(database, [job])
        assert worker.wait() == 0

    assert ends(store, job) == [("cancelled", False)]


def test_a_job_that_is_cancelled_and_then_cut_off_does_not_run_again(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    # A worker that hears nothing of the request, and is told to stop at once.
    with controlled.start("run", environment={"JOBQ_LISTEN": "false", "JOBQ_POLL_EVERY": "3600"}) as worker:
        eventually(lambda: notes.has_begun)
        operate.cancel(database, [job])
        for _ in range(2):
            worker.signal(signal.SIGTERM)
            eventually(lambda: "signal received" in worker.stderr)
        worker.signal(signal.SIGTERM)
        worker.wait()

    assert store.unfinished() == []
    (result,) = store.results(job)
    assert result.outcome == "cancelled"
    assert "cut" in result.error_message or "told to stop at once" in result.error_message


def test_short_jobs_are_cancelled_by_thousands_and_each_has_one_end(
    controlled: "Application", store: "Store", database: "Database", eventually: Eventually
) -> None:
    first = store.add(job_class="jobs.Echo")
    with controlled.start("run", "--max-processes", "2"):
        eventually(lambda: store.results(first))
        assert operate.cancel(database, [first]).done == []  # there is a connection by now
        ids = [job for job in store.add_many(*({"job_class": "jobs.Echo"} for _ in range(3000))) if job]
        operate.cancel(database, reversed(ids))
        eventually(lambda: not store.unfinished())

    results = [result for result in store.results() if result.id != first]
    assert [result.id for result in results] == ids
    assert {result.outcome for result in results} == {"successful", "cancelled"}


# Timeouts


def test_a_timeout_is_an_error_that_says_where_the_job_was_and_is_retried(
    controlled: "Application", store: "Store", notes: Notes
) -> None:
    job = add(store, "Wait", notes=notes, timeout=0.3, retries=1)

    drain(controlled)

    first, second = store.results(job)
    assert [(result.outcome, result.retried) for result in (first, second)] == [("errored", True), ("errored", False)]
    assert first.error_type == "TimedOut"
    assert first.error_message == "ran for longer than its timeout of 0.3 s"
    assert "in run" in first.traceback
    assert len([word for word in notes.words() if word.startswith("begun")]) == 2


def test_a_job_within_its_timeout_is_left_alone(controlled: "Application", store: "Store") -> None:
    jobs = [add(store, "Echo", timeout=30.0) for _ in range(200)]

    drain(controlled)

    assert all(ends(store, job) == [("successful", False)] for job in jobs)


# Directives


def test_a_deferred_job_is_put_back_and_has_used_no_retry(controlled: "Application", store: "Store") -> None:
    job = add(store, "Directs", how="defer")

    drain(controlled)

    deferred, successful = store.results(job)
    assert (deferred.outcome, deferred.retried, deferred.error_message) == ("deferred", True, "not yet")
    assert (successful.outcome, successful.value) == ("successful", [job, 2, 1, "default"])


def test_a_deferred_job_waits_for_its_delay(controlled: "Application", store: "Store") -> None:
    job = add(store, "Directs", how="defer_an_hour")

    drain(controlled)

    (deferred,) = store.results(job)
    waiting = store.job(job)
    assert waiting.state == "scheduled"
    assert (waiting.run_at - deferred.ended_at).total_seconds() == pytest.approx(3600, abs=60)


def test_a_deferral_that_counts_uses_up_the_retries(controlled: "Application", store: "Store") -> None:
    job = add(store, "Directs", how="defer_counting", retries=1)

    drain(controlled)

    assert ends(store, job) == [("deferred", True), ("errored", False)]


def test_a_job_that_says_it_failed_is_not_retried(controlled: "Application", store: "Store") -> None:
    job = add(store, "Directs", how="fail", retries=5)

    drain(controlled)

    (result,) = store.results(job)
    assert (result.outcome, result.retried, result.error_message) == ("errored", False, "no use")
    assert "ValueError: the cause" in result.traceback


def test_a_job_may_cancel_itself(controlled: "Application", store: "Store") -> None:
    job = add(store, "Directs", how="cancel", retries=5)

    drain(controlled)

    (result,) = store.results(job)
    assert (result.outcome, result.retried) == ("cancelled", False)
    assert result.error_message == "cancelled by the job itself: not needed"


# Progress and stacks


def test_what_a_job_said_last_of_its_progress_is_shown(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Works", notes=notes)
    with controlled.start("run", "--max-processes", "1"):
        eventually(lambda: store.job(job).progress and store.job(job).progress["done"] == 10_000)
        shown = observe.show(database, job).job.progress
        assert shown is not None
        assert (shown.done, shown.total, shown.message) == (10_000, 10_000, "step 10000")
        listed = controlled.jobq("list", "running", environment={"COLUMNS": "250"}).stdout
        assert "10,000 of 10,000 (100%), step 10000" in listed
        assert json.loads(controlled.jobq("show", str(job), "--json").stdout)["progress"]["done"] == 10_000
        notes.let_go()
        eventually(lambda: ends(store, job) == [("successful", False)])


def test_a_running_job_tells_its_stack_and_goes_on(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    with controlled.start("run", "--max-processes", "1"):
        eventually(lambda: notes.has_begun)
        for _ in range(3):
            stack = operate.stack(database, job)
            assert stack.text.startswith("main thread (most recent call last):")
            assert f'{controlled.path}/jobs.py", line' in stack.text
            assert "worker/child.py" not in stack.text
        notes.let_go()
        eventually(lambda: ends(store, job) == [("successful", False)])

    assert store.rows("SELECT * FROM jobq.stacks") == []


FORGER = r'''
from jobq.runtime.shared_memory import PROGRESS, SharedMemory


@register_job
class Forges(Noted):
    """Writes into the memory that it shares with its supervisor what jobq would not."""

    def __init__(self, notes, other):
        super().__init__(notes)
        self.other = other

    def run(self):
        fd = next(fd for fd in range(64) if "jobq-memory" in os.path.realpath(f"/proc/self/fd/{fd}"))
        memory, own = SharedMemory.of_child(fd), self.job.id
        self.note("begun")
        while not self.notes.with_suffix(".go").exists():
            for note in (
                *(f"[{own}, 1, {said}]" for said in ('{"done": NaN}', '{"message": "\\u0000"}')),
                f'[{self.other}, 1, {{"done": 1}}]', f"[{own}, 7, {{}}]", "[true, 1, {}]", "[" * 4000, "\xff", "",
                f'[{own}, 1, {{"done": NaN}}]',
            ):
                memory.write(PROGRESS, note.encode("latin-1"))
                os.write(fd, b'Thread 0x1 (most recent call first):\n  File "\0\xff\x1b", line 1 in x\n')
                time.sleep(0.002)
'''


def test_what_a_job_forges_in_the_shared_memory_reaches_nobody_else(
    controlled: "Application", store: "Store", database: "Database", tmp_path: Path, eventually: Eventually
) -> None:
    """Nor does it keep the worker from hearing what operators want, and from telling what other jobs say."""
    controlled.write("jobs.py", JOBS + FORGER)
    notes, other = Notes(tmp_path / "notes"), Notes(tmp_path / "other")
    works = add(store, "Works", notes=other, delay=3600)
    forges = add(store, "Forges", notes=notes, other=works)
    with controlled.start("run", "--max-processes", "2") as worker:
        eventually(lambda: notes.has_begun)
        store.execute("UPDATE jobq.jobs SET run_at = now() WHERE id = %s", works)
        eventually(lambda: (store.job(works).progress or {}).get("done") == 10_000)
        assert "\0" not in operate.stack(database, forges).text
        assert store.job(forges).progress is None
        operate.cancel(database, [forges])
        eventually(lambda: ends(store, forges) == [("cancelled", False)])
        other.let_go()
        eventually(lambda: ends(store, works) == [("successful", False)])
    assert "service failed" not in worker.stderr


# Hooks


def test_a_hook_is_called_for_each_lost_attempt_on_a_job_made_again(
    controlled: "Application", store: "Store", notes: Notes
) -> None:
    job = add(store, "Kills", notes=notes, has_abort_hook=True)

    drain(controlled)

    assert ends(store, job) == [("lost", True), ("lost", True), ("lost", False)]
    hooks = [f"aborted:{job}:{attempt}:lost:{attempt < 3}" for attempt in (1, 2, 3)]
    assert notes.words() == hooks
    assert store.owed_hooks() == []


def test_a_job_cancelled_while_no_worker_ran_is_told_so_by_the_next_worker(
    controlled: "Application", store: "Store", notes: Notes
) -> None:
    job = add(store, "Wait", notes=notes, has_abort_hook=True)
    store.cancel(job)

    drain(controlled)

    assert notes.words() == [f"aborted:{job}:1:cancelled:False"]


def test_a_hook_that_fails_is_logged_and_changes_nothing(controlled: "Application", store: "Store") -> None:
    job = add(store, "BrokenHook", has_abort_hook=True)

    log = drain(controlled)

    assert "on_aborted failed error=RuntimeError: the hook itself" in log
    assert ends(store, job)[-1] == ("lost", False)
    assert store.owed_hooks() == []


# Expiry and pauses


def test_a_job_that_nobody_started_in_time_is_told_so(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    with controlled.start("run", "--queue", "other") as worker:
        eventually(lambda: "application loaded" in worker.stderr)
        job = add(store, "Wait", notes=notes, expires_in=0.2, has_abort_hook=True)
        eventually(lambda: ends(store, job) == [("cancelled", False)])
        eventually(lambda: notes.words() == [f"aborted:{job}:1:cancelled:False"])


def test_what_runs_goes_on_when_its_queue_is_paused_and_nothing_new_starts(
    controlled: "Application", store: "Store", database: "Database", notes: Notes, eventually: Eventually
) -> None:
    job = add(store, "Wait", notes=notes)
    with controlled.start("run", "--max-processes", "2"):
        eventually(lambda: notes.has_begun)
        assert operate.pause_queues(database, ["default"], reason="too hot") == ["default"]
        waiting, other = add(store, "Echo"), add(store, "Echo", queue="other")
        eventually(lambda: ends(store, other) == [("successful", False)])
        assert ends(store, waiting) == []
        (queue,) = [queue for queue in observe.queues(database) if queue.name == "default"]
        assert (queue.paused, queue.pause_reason) == (True, "too hot")
        notes.let_go()
        eventually(lambda: ends(store, job) == [("successful", False)])
        assert ends(store, waiting) == []
        assert operate.resume_queues(database, ["default"]) == ["default"]
        eventually(lambda: ends(store, waiting) == [("successful", False)])


# What jobs use


def test_what_each_attempt_used_is_in_its_result(
    controlled: "Application", store: "Store", database: "Database"
) -> None:
    large, small, burning = add(store, "Eats", megabytes=150), add(store, "Echo"), add(store, "Burns")

    drain(controlled)

    ((eater,), (echo,), (burner,)) = (observe.show(database, job).attempts for job in (large, small, burning))
    assert eater.peak_memory_bytes is not None
    assert echo.peak_memory_bytes is not None
    assert eater.peak_memory_bytes > 150_000_000 > echo.peak_memory_bytes > 10_000_000
    assert burner.cpu_seconds is not None
    assert echo.cpu_seconds is not None
    assert burner.cpu_seconds >= 0.2
    assert echo.cpu_seconds < 0.2


def test_a_child_that_keeps_too_much_memory_is_replaced_between_jobs(controlled: "Application", store: "Store") -> None:
    before = add(store, "Echo")
    keeper = add(store, "Keeps", megabytes=150)
    after = add(store, "Echo")

    drain(controlled, "--max-memory-per-process", "120")

    first, keeping, second = (store.results(job)[0] for job in (before, keeper, after))
    assert {first.outcome, keeping.outcome, second.outcome} == {"successful"}
    assert first.value == keeping.value != second.value


def test_a_job_past_the_limit_of_memory_is_ended_and_its_result_says_so(
    controlled: "Application", store: "Store"
) -> None:
    job = add(store, "Eats", megabytes=300, seconds=3600)
    other = add(store, "Echo")

    drain(controlled, "--max-memory-per-job", "200")

    (result,) = store.results(job)
    assert (result.outcome, result.error_type) == ("errored", "MemoryLimit")
    assert "more than the 200 MB that max_memory_per_job allows" in result.error_message
    assert "in run" in result.traceback
    assert result.peak_memory_kilobytes > 200 * 1024
    assert ends(store, other) == [("successful", False)]
