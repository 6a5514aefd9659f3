"""Processes that die, hang or misbehave: what it costs, and what it does not."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from conftest import Application, Started, Store

Eventually = Callable[..., Any]

QUICK = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1.5", "JOBQ_POLL_EVERY": "0.5"}


def add(store: "Store", job_class: str, arguments: dict[str, Any] | None = None, **fields: Any) -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", arguments=json.dumps(arguments or {}), **fields)
    assert job_id is not None
    return job_id


def outcomes(store: "Store", job: int) -> list[tuple[str, bool]]:
    return [(result.outcome, result.retried) for result in store.results(job)]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def waiting(store: "Store", tmp_path: Path) -> "Waiting":
    return Waiting(store, tmp_path)


class Waiting:
    """A job that runs until it is let go."""

    def __init__(self, store: "Store", folder: Path) -> None:
        self.started, self.go = folder / "started", folder / "go"
        self.job = add(store, "Wait", {"started": str(self.started), "go": str(self.go)})

    @property
    def pid(self) -> int | None:
        """The process in which it runs now; None until it does."""
        return int(self.started.read_text()) if self.started.exists() and self.started.read_text() else None


@pytest.mark.parametrize(
    ("how", "evidence"),
    [
        ("kill", "killed by SIGKILL"),
        ("segfault", "killed by SIGSEGV"),
        ("exit", "exited with code 3"),
        ("exit_quietly", "exited with code 0"),
    ],
)
def test_a_child_that_dies_costs_its_job_one_attempt_with_the_evidence(
    sample: "Application", store: "Store", tmp_path: Path, how: str, evidence: str
) -> None:
    before = [add(store, "Echo") for _ in range(200)]
    job = add(store, "Die", {"how": how, "once": str(tmp_path / "once")})
    after = [add(store, "Echo") for _ in range(200)]

    assert sample.jobq("run", "--drain").returncode == 0

    lost, successful = store.results(job)
    assert (lost.outcome, lost.retried, lost.error_type) == ("lost", True, "ProcessDied")
    assert evidence in lost.error_message
    assert "MB" in lost.error_message
    assert (successful.outcome, successful.value) == ("successful", "alive the second time")
    assert all(outcomes(store, other) == [("successful", False)] for other in before + after)


def test_a_job_that_kills_its_process_every_time_comes_to_rest_as_lost(sample: "Application", store: "Store") -> None:
    job = add(store, "Die", {"how": "kill"}, retries=5)

    assert sample.jobq("run", "--drain").returncode == 1

    assert outcomes(store, job) == [("lost", True), ("lost", True), ("lost", False)]
    assert "loss 3 of 3" in store.results(job)[-1].error_message
    assert store.unfinished() == []


def test_a_job_whose_arguments_no_process_survives_comes_to_rest_as_lost(
    application: "Application", store: "Store"
) -> None:
    """Such as the kernel ends for the memory that they take: it dies before the job has begun."""
    application.write("jobs.py", NO_MEMORY_FOR_ARGUMENTS)
    job = add(store, "Echo", {"text": "x" * 100_000})
    others = [add(store, "Echo") for _ in range(5)]

    assert application.jobq("run", "--drain", environment=QUICK).returncode == 1

    (lost,) = store.results(job)
    assert (lost.outcome, lost.retried, lost.started_at) == ("lost", False, None)
    assert "3 times its process died before the job began" in lost.error_message
    assert all(outcomes(store, other) == [("successful", False)] for other in others)


NO_MEMORY_FOR_ARGUMENTS = """
import os, signal, sys
from jobq import Job, register_job

def end_where_arguments_are_read(event, args):
    if event == "marshal.loads" and b"x" * 100_000 in bytes(args[0]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(end_where_arguments_are_read)

@register_job
class Echo(Job):
    def __init__(self, text=""):
        self.text = text

    def run(self):
        return len(self.text)
"""


def test_losses_do_not_use_up_the_retries(sample: "Application", store: "Store", tmp_path: Path) -> None:
    job = add(store, "Die", {"how": "kill", "once": str(tmp_path / "once")})

    assert sample.jobq("run", "--drain").returncode == 0

    assert outcomes(store, job) == [("lost", True), ("successful", False)]


def test_a_killed_child_leaves_its_siblings_job_alone(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "2"):
        eventually(lambda: waiting.pid)
        victim = add(store, "Die", {"how": "kill"})
        eventually(lambda: outcomes(store, victim)[-1:] == [("lost", False)])
        waiting.go.touch()
        eventually(lambda: outcomes(store, waiting.job) == [("successful", False)])


@pytest.mark.parametrize("how", ["system_exit", "keyboard_interrupt", "run_out_of_memory", "change_surroundings"])
def test_leaving_by_an_exception_is_an_error_and_costs_no_child(
    sample: "Application", store: "Store", how: str
) -> None:
    first = add(store, "Process")
    job = add(store, "Misbehave", {"how": how})
    last = add(store, "Process")

    assert sample.jobq("run", "--drain", "--max-processes", "1").returncode == 1

    assert outcomes(store, job) == [("errored", False)]
    assert store.results(first)[0].value == store.results(last)[0].value


def test_a_job_that_forks_ends_once(sample: "Application", store: "Store") -> None:
    job = add(store, "Misbehave", {"how": "fork"})
    others = [add(store, "Echo") for _ in range(20)]

    assert sample.jobq("run", "--drain", "--max-processes", "1").returncode == 0

    assert outcomes(store, job) == [("successful", False)]
    assert all(outcomes(store, other) == [("successful", False)] for other in others)


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ("close_descriptors", ["successful"]),
        ("replace_descriptors", ["successful"]),
        ("replace_descriptors_and_fail", ["lost", "lost", "lost"]),
        ("write_into_descriptors", ["lost", "lost", "lost"]),
        ("forge_reports", ["lost", "lost", "lost"]),
        ("write_without_a_line", ["lost", "lost", "lost"]),
    ],
)
def test_a_job_that_ruins_its_descriptors_costs_no_other_job(
    sample: "Application", store: "Store", how: str, ends: list[str]
) -> None:
    others = [add(store, "Echo") for _ in range(20)]
    job = add(store, "Misbehave", {"how": how})
    others += [add(store, "Echo") for _ in range(20)]

    is_lost = ends[-1] == "lost"
    assert sample.jobq("run", "--drain", "--max-processes", "1").returncode == int(is_lost)

    assert [outcome for outcome, _ in outcomes(store, job)] == ends
    assert all(outcomes(store, other)[-1] == ("successful", False) for other in others)


def test_a_job_may_write_without_end(sample: "Application", store: "Store") -> None:
    job = add(store, "Misbehave", {"how": "shout"})

    assert sample.jobq("run", "--drain").returncode == 0

    assert outcomes(store, job) == [("successful", False)]


@pytest.mark.parametrize("how", ["die", "exit"])
def test_what_a_lost_job_started_ends_with_it(
    application: "Application", store: "Store", tmp_path: Path, eventually: Eventually, how: str
) -> None:
    application.write("jobs.py", LEAVES_A_PROCESS)
    left = tmp_path / "left"
    job = add(store, "Leave", {"how": how, "left": str(left)})

    with application.start("run"):
        eventually(lambda: outcomes(store, job)[-1:] == [("lost", False)])
        eventually(lambda: not is_alive(int(left.read_text())))


LEAVES_A_PROCESS = """
import os, signal, subprocess
from pathlib import Path
from jobq import Job, register_job

@register_job
class Leave(Job):
    def __init__(self, how, left):
        self.how, self.left = how, left

    def run(self):
        Path(self.left).write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        if self.how == "exit":
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("job_class", ["waiting", "hold_the_gil"])
def test_children_die_with_their_supervisor_at_once(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually, job_class: str
) -> None:
    with sample.start("run", "--max-processes", "2") as worker:
        eventually(lambda: waiting.pid)
        if job_class == "hold_the_gil":
            stuck = add(store, "Misbehave", {"how": "hold_the_gil"})
            eventually(lambda: store.job(stuck).state == "running")
        children = worker.descendants()
        assert len(children) == 3  # and the janitor
        worker.signal(signal.SIGKILL)
        worker.wait()
        eventually(lambda: not any(is_alive(child) for child in children))


def test_jobs_of_a_killed_supervisor_are_rescued_by_another_worker(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", environment=QUICK) as worker:
        eventually(lambda: waiting.pid)
        worker.signal(signal.SIGKILL)
        worker.wait()
    waiting.go.touch()

    with sample.start("run", environment=QUICK):
        eventually(lambda: outcomes(store, waiting.job) == [("lost", True), ("successful", False)])

    (silent,) = store.rows("SELECT * FROM jobq.workers WHERE stop_reason = 'silent'")
    assert silent.pid == worker.pid
    assert f"/{silent.pid} was last heard of" in store.results(waiting.job)[0].error_message


def test_a_job_whose_end_was_not_recorded_when_its_worker_was_killed_runs_again_and_ends_once(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    """At least once: the worker dies between the job's end and its record, which is held up here."""
    with store.another() as other, sample.start("run", environment=QUICK) as worker:
        eventually(lambda: waiting.pid)
        with other.connection.transaction():
            other.execute("SELECT FROM jobq.jobs WHERE id = %s FOR UPDATE", waiting.job)
            waiting.go.touch()
            other.wait_until_another_waits()
            worker.signal(signal.SIGKILL)
            worker.wait()
            other.execute(  # what it sent is under way in the server all the same
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'jobq worker finish' AND datname = current_database()"
            )
        waiting.started.unlink()
        with sample.start("run", environment=QUICK):
            eventually(lambda: outcomes(store, waiting.job) == [("lost", True), ("successful", False)])

    assert waiting.started.exists(), "it ran again"


def test_a_worker_whose_rights_were_taken_away_says_so_and_goes_on_when_it_has_them_again(
    sample: "Application", store: "Store", database_url: str, eventually: Eventually
) -> None:
    role = f"worker_{store.connection.info.dbname}"
    store.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
    url = psycopg.conninfo.make_conninfo(database_url, user=role)
    try:
        with sample.start("run", environment={**QUICK, "JOBQ_DATABASE_URL": url}) as worker:
            first = add(store, "Echo")
            eventually(lambda: outcomes(store, first) == [("successful", False)])
            store.execute(f"ALTER ROLE {role} NOSUPERUSER")
            second = add(store, "Echo")
            eventually(lambda: "permission denied" in worker.stderr)
            assert outcomes(store, second) == []
            store.execute(f"ALTER ROLE {role} SUPERUSER")
            eventually(lambda: outcomes(store, second) == [("successful", False)])
        said = [line for line in worker.stderr.splitlines() if "permission denied" in line]
        assert all("Use a role that may" in line for line in said)
        assert len({line.partition("service=")[2].split()[0] for line in said}) == len(said), "once a service"
        assert "Traceback" not in worker.stderr
    finally:
        store.execute(f"DROP OWNED BY {role}")
        store.execute(f"DROP ROLE {role}")


def test_a_worker_that_was_stopped_for_too_long_changes_nothing_when_it_comes_back(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "1", environment=QUICK) as frozen:
        eventually(lambda: waiting.pid)
        frozen.signal(signal.SIGSTOP)
        first = waiting.pid
        assert first is not None
        waiting.started.unlink()
        with sample.start("run", "--max-processes", "1", environment=QUICK) as other:
            eventually(lambda: waiting.pid)
            second = waiting.pid
            frozen.signal(signal.SIGCONT)
            eventually(lambda: "declared dead; starting anew" in frozen.stderr)
            eventually(lambda: not is_alive(first))
            assert second is not None
            assert is_alive(second)
            waiting.go.touch()
            eventually(lambda: store.results(waiting.job)[-1:] and not store.unfinished())
            assert outcomes(store, waiting.job) == [("lost", True), ("successful", False)]
            other.signal(signal.SIGTERM)
            assert other.wait() == 0
        # Under its new identity it works on.
        job = add(store, "Echo")
        eventually(lambda: outcomes(store, job) == [("successful", False)])


def test_a_first_signal_lets_running_jobs_finish_and_gives_the_rest_back(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "1") as worker:
        eventually(lambda: waiting.pid)
        later = add(store, "Echo")
        worker.signal(signal.SIGTERM)
        eventually(lambda: "stopping" in worker.stderr)
        with sample.start("run", "--max-processes", "1"):
            eventually(lambda: outcomes(store, later) == [("successful", False)])
        assert worker.process.poll() is None
        waiting.go.touch()
        assert worker.wait() == 0

    assert outcomes(store, waiting.job) == [("successful", False)]
    assert store.rows("SELECT * FROM jobq.workers WHERE pid = %s", worker.pid)[0].stop_reason == "stopped"


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_cuts_the_running_jobs_off_and_gives_them_back(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually, number: int, exit_code: int
) -> None:
    with sample.start("run", "--max-processes", "1") as worker:
        eventually(lambda: waiting.pid)
        worker.signal(number)
        eventually(lambda: "stopping" in worker.stderr)
        worker.signal(number)
        assert worker.wait() == exit_code

    (cut_off,) = store.results(waiting.job)
    job = store.job(waiting.job)
    assert (cut_off.outcome, cut_off.retried, cut_off.error_type) == ("lost", True, "CutOff")
    assert (job.state, job.losses, job.excused) == ("pending", 0, 1)
    assert not is_alive(waiting.pid or 0)


def test_jobs_that_outlast_the_grace_time_are_cut_off_and_given_back(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", environment={"JOBQ_SHUTDOWN_GRACE": "0.3"}) as worker:
        eventually(lambda: waiting.pid)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0

    assert outcomes(store, waiting.job) == [("lost", True)]
    assert store.job(waiting.job).state == "pending"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_workers_group_and_session_spares_what_its_job_has_started(
    sample: "Application", store: "Store", tmp_path: Path, eventually: Eventually, number: int
) -> None:
    """As Ctrl-C in a terminal sends it, a closed session, or a supervisor that stops the whole group."""
    go, pid = tmp_path / "go", tmp_path / "pid"
    job = add(store, "Program", {"pid": str(pid), "go": str(go)})
    with sample.start("run", "--max-processes", "1") as worker:
        eventually(lambda: pid.exists() and pid.read_text())
        os.killpg(worker.pid, number)
        for member in worker.descendants():
            if os.getsid(member) == os.getsid(worker.pid):
                os.kill(member, number)
        eventually(lambda: "stopping" in worker.stderr)
        assert is_alive(int(pid.read_text()))
        go.touch()
        assert worker.wait() == 0

    assert outcomes(store, job) == [("successful", False)]
    assert store.results(job)[0].value is None  # the program's exit code, while it runs


def test_signals_to_a_child_are_not_its_to_obey(
    sample: "Application", store: "Store", waiting: Waiting, eventually: Eventually
) -> None:
    with sample.start("run", "--max-processes", "1"):
        eventually(lambda: waiting.pid)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(waiting.pid or 0, number)
        waiting.go.touch()
        eventually(lambda: outcomes(store, waiting.job) == [("successful", False)])


def test_nothing_is_left_running_when_a_worker_has_ended(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    for _ in range(50):
        add(store, "Echo")
    with sample.start("run") as worker:
        eventually(lambda: not store.unfinished())
        family = worker.descendants()
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert not any(is_alive(pid) for pid in family)


def test_connections_that_are_terminated_are_made_again_and_no_job_is_lost(
    sample: "Application", store: "Store", eventually: Eventually
) -> None:
    def terminate(service: str) -> "Started | bool":
        return bool(
            store.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = %s AND datname = current_database()",
                f"jobq worker {service}",
            )
        )

    with sample.start("run", environment=QUICK):
        for service in ("claim", "finish", "listen", "heartbeat"):
            eventually(lambda service=service: terminate(service))
            store.add_many(*({"job_class": "jobs.Echo", "arguments": "{}"} for _ in range(300)))
            terminate(service)
            eventually(lambda: not store.unfinished())

    assert len(store.results()) == 1200
    assert {result.attempt for result in store.results()} == {1}


@pytest.mark.parametrize("interval", ["1 hour", "-1 hour"])
def test_when_the_clock_of_the_server_steps_a_live_worker_keeps_its_job_and_that_of_a_killed_one_is_rescued(
    sample: "Application", store: "Store", tmp_path: Path, waiting: Waiting, eventually: Eventually, interval: str
) -> None:
    """As the rows show it: every heartbeat lies an hour back, or ahead, at once."""
    quick = {"JOBQ_HEARTBEAT_EVERY": "1", "JOBQ_HEARTBEAT_TIMEOUT": "4", "JOBQ_POLL_EVERY": "0.1"}
    run = ("run", "--max-processes", "1")
    with sample.start(*run, environment=quick), sample.start(*run, environment=quick) as killed:
        orphan = Waiting(store, make(tmp_path / "orphan"))
        eventually(lambda: waiting.pid and orphan.pid)
        pids = {row.id: row.pid for row in store.rows("SELECT id, pid FROM jobq.workers")}
        if pids[store.job(orphan.job).worker_id] != killed.pid:
            waiting, orphan = orphan, waiting
        eventually(lambda: min(ages(store)) > 2.5)  # a new worker has patience anyway
        killed.signal(signal.SIGKILL)

        store.execute(f"UPDATE jobq.workers SET heartbeat_at = heartbeat_at - interval '{interval}'")

        eventually(lambda: outcomes(store, orphan.job) == [("lost", True)])
        dead = store.rows("SELECT pid FROM jobq.workers WHERE stop_reason = 'silent'")
        assert [row.pid for row in dead] == [killed.pid]
        waiting.go.touch()
        orphan.go.touch()
        eventually(lambda: outcomes(store, orphan.job) == [("lost", True), ("successful", False)])
        assert outcomes(store, waiting.job) == [("successful", False)]


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def ages(store: "Store") -> list[float]:
    """How long each worker has been there, in seconds."""
    rows = store.rows("SELECT extract(epoch FROM now() - started_at)::float8 AS age FROM jobq.workers")
    return [row.age for row in rows]
