"""What a job leaves behind in its process does not meet the next job there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Run = Callable[..., tuple[list[Any], list[Any], str]]

JOBS = """
    import os
    import resource
    import signal
    import time

    from jobq import Job, register_job


    def handlers():
        return [repr(signal.getsignal(number)) for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGTERM)]


    @register_job
    class Look(Job):
        def run(self):
            umask = os.umask(0)
            os.umask(umask)
            blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
            timer = signal.getitimer(signal.ITIMER_REAL)
            return [os.getpid(), os.getcwd(), umask, handlers(), blocked, timer[0]]


    def leave_folder():
        os.chdir("/")

    def leave_umask():
        os.umask(0o027)

    def leave_handler():
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def leave_blocked():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})

    def leave_timer():
        signal.alarm(30)

    def leave_deaf():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def leave_priority():
        os.nice(3)

    def leave_environment():
        os.environ["SHOP"] = "closed"
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    def leave_nothing():
        os.makedirs("made", exist_ok=True)


    @register_job
    class Leave(Job):
        def __init__(self, what):
            self.what = what

        def run(self):
            time.sleep(0.025)  # longer than what is looked at only now and then
            globals()[f"leave_{self.what}"]()


    @register_job
    class Endless(Job):
        def run(self):
            while True:
                time.sleep(0.01)
"""


@pytest.fixture
def run(application: "Application", store: "Store") -> Run:
    """Runs a job that looks, one that leaves something behind (twice), and one that looks, all in one process."""

    def run_around(what: str, *others: str) -> tuple[list[Any], list[Any], str]:
        application.write("jobs.py", JOBS)
        first = store.add(job_class="jobs.Look")
        for _ in range(2):
            store.add(job_class="jobs.Leave", arguments=f'{{"what": "{what}"}}')
        for other in others:
            store.add(job_class=other, timeout=0.2)
        last = store.add(job_class="jobs.Look")
        finished = application.jobq("run", "--drain", "--max-processes", "1")
        before, after = (store.results(job)[-1].value for job in (first, last))
        return before, after, finished.stderr + finished.stdout

    return run_around


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("folder", "another working directory, put back"),
        ("umask", "another umask, put back to"),
        ("handler", "a handler of SIGALRM, put back"),
        ("blocked", "blocked signals, put back"),
        ("timer", "a timer (ITIMER_REAL), now off"),
    ],
)
def test_what_a_job_changes_in_its_process_is_put_back_for_the_next(run: Run, what: str, words: str) -> None:
    before, after, logged = run(what)
    assert after == before
    assert logged.count(words) == 1
    assert "job_class=jobs.Leave" in logged


def test_a_job_that_made_its_process_deaf_does_not_keep_the_next_from_its_timeout(run: Run, store: "Store") -> None:
    _, _, logged = run("deaf", "jobs.Endless")
    (ended,) = [result for result in store.results() if result.job_class == "jobs.Endless"]
    assert (ended.outcome, ended.error_type) == ("errored", "TimedOut")
    assert "time.sleep(0.01)" in ended.traceback  # it was told, and not killed
    assert "a handler of SIGUSR1, put back" in logged


def test_where_there_is_no_way_back_the_process_is_replaced(run: Run, store: "Store") -> None:
    before, after, logged = run("priority")
    assert after[0] != before[0]
    assert "its process is replaced job_class=jobs.Leave" in logged
    assert {result.outcome for result in store.results()} == {"successful"}


def test_a_changed_environment_and_limit_are_warned_about_once(run: Run) -> None:
    before, after, logged = run("environment")
    assert after == before
    assert logged.count("a changed environment (SHOP)") == 1
    assert logged.count("changed limits (RLIMIT_NOFILE)") == 1


def test_a_job_that_changes_nothing_is_not_warned_about(run: Run) -> None:
    before, after, logged = run("nothing")
    assert after == before
    assert "a job left" not in logged
