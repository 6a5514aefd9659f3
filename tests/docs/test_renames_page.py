"""docs/renames.md says what is true: its classes are renamed under a real worker, and its commands find their jobs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("renames")
ENQUEUE = "from jobs import {name}; record = {name}(2).run_in_worker(); print(record and record.job_class)"


def test_old_and_new_code_share_keys_and_each_name_finds_the_jobs(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    (new,) = PAGE.code("")
    application.write("jobs.py", new.replace('(alias="jobs.SendMail")', "").replace("SendReceipt", "SendMail"))
    assert application.python(ENQUEUE.format(name="SendMail")).stdout.strip() == "jobs.SendMail"
    application.write("jobs.py", new)
    assert application.python(ENQUEUE.format(name="SendReceipt")).stdout.strip() == "None"

    with application.start("run", "--queue", "other"):
        eventually(lambda: store.rows("SELECT FROM jobq.workers WHERE schedules_at IS NOT NULL"))
        for command in PAGE.commands("What you see"):
            shown = application.jobq(*command[1:])
            assert shown.returncode == 0, shown.stderr
            assert "jobs.SendMail" in shown.stdout or "stats" in command
        store.execute("DELETE FROM jobq.jobs")
        first, second = PAGE.code("What you see", "sql")[0].splitlines()
        assert store.execute(first).fetchone() != (None,)
        assert store.execute(second).fetchone() == (None,)

    (third,) = PAGE.code("A second rename")
    application.write("jobs.py", "from jobq import Job, register_job\n" + third)
    assert application.jobq("run", "--drain").returncode == 0
    assert [(result.job_class, result.value) for result in store.results()] == [("jobs.SendMail", "mailed 2")]
