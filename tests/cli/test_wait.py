"""`jobq wait` as scripts use it: its exit code says how the jobs ended."""

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store


def test_a_script_waits_for_jobs_while_a_worker_runs_them(sample: "Application", store: "Store") -> None:
    ids = [str(store.add(job_class="jobs.Echo", arguments=json.dumps({"value": number}))) for number in range(2)]
    with sample.start("wait", *ids) as waiting:
        assert sample.jobq("run", "--drain").returncode == 0
        assert waiting.wait() == 0
    assert waiting.stdout.count("successful") == 2
    assert waiting.stderr == ""


def test_the_exit_code_says_that_a_job_did_not_succeed(sample: "Application", store: "Store") -> None:
    good, bad = store.add(job_class="jobs.Echo"), store.add(job_class="jobs.Fail")
    sample.jobq("run", "--drain")
    assert sample.jobq("wait", str(good)).returncode == 0
    finished = sample.jobq("wait", str(good), str(bad), "--json")
    assert finished.returncode == 1
    document = json.loads(finished.stdout)
    assert document["unfinished"] == {}
    assert {job: one["outcome"] for job, one in document["ended"].items()} == {
        str(good): "successful",
        str(bad): "errored",
    }
    assert "RuntimeError: the look-up failed" in sample.jobq("wait", str(bad)).stdout


def test_a_wait_whose_time_is_up_has_an_exit_code_of_its_own(sample: "Application", store: "Store") -> None:
    good, late = store.add(job_class="jobs.Echo"), store.add(job_class="jobs.Echo", queue="mail", delay=3600)
    assert sample.jobq("run", "--drain").returncode == 0
    finished = sample.jobq("wait", str(good), str(late), "--timeout", "0.1s", "--json")
    assert finished.returncode == 124
    document = json.loads(finished.stdout)
    assert list(document["ended"]) == [str(good)]
    assert "not due until" in document["unfinished"][str(late)]
    assert f"1 of 2 jobs have not ended. Job {late} is scheduled: it is not due until" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert sample.jobq("wait", str(good), str(late), "--any").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        ([], 2, "Missing argument"),
        (["4711"], 2, "There is no job 4711"),
        (["jobs.Echo"], 2, "'jobs.Echo' is not the id of a job"),
        (["1", "--timeout", "soon"], 2, "'soon' is neither seconds"),
        (["1", "--database-url", "postgresql://127.0.0.1:1/none"], 3, "cannot be reached"),
    ],
)
def test_a_call_that_cannot_be_is_refused(
    sample: "Application", arguments: list[str], exit_code: int, told: str
) -> None:
    finished = sample.jobq("wait", *arguments)
    assert finished.returncode == exit_code
    assert told in finished.stderr
    assert "Traceback" not in finished.stderr


def test_ctrl_c_ends_the_waiting_and_not_the_job(sample: "Application", store: "Store", eventually: Any) -> None:
    job = store.add(job_class="jobs.Echo")
    with sample.start("wait", str(job)) as waiting:
        here = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
        eventually(lambda: store.rows(f"{here} AND query LIKE '%%unnest%%'", store.connection.info.backend_pid))
        waiting.signal(signal.SIGINT)
        assert waiting.wait() == 130
    assert waiting.stderr.strip() == ""
    assert store.job(job) is not None


def test_a_warning_of_the_driver_reaches_no_terminal_but_a_log_that_is_set_up(sample: "Application") -> None:
    """As of a rollback that Ctrl-C kept it from sending. Python prints warnings where a program has set up no log."""
    warn = "logging.getLogger('psycopg').warning('error ignored in rollback')"
    code = f"""
import atexit, logging, sys
from jobq import cli
if sys.argv[1] == "log":
    logging.basicConfig(format="log: %(message)s")
atexit.register(lambda: {warn})
cli.main(["list"])
"""
    for how, told in (("none", ""), ("log", "log: error ignored in rollback\n")):
        assert sample.python("-c", code, how).stderr == told
