"""docs/figures.md is true: its commands print what it shows, and its numbers are those of the code."""

import re

from conftest import Application, Store
from jobq.histograms import FEW
from jobq.observe import Kind, spoken
from jobq.observe.needs import OLD_SECONDS
from jobq.operate import KEPT_SECONDS, UNDO_SECONDS
from jobq.settings import Settings
from pages import docs

PAGE = docs("figures")

JOBS = """
    import jobq
    from jobq import Job, register_job


    @register_job
    class Flaky(Job):
        def get_retries(self):
            return 2

        def get_retry_delay(self, attempt):
            return 0

        def run(self):
            if jobq.current().job.attempt < 3:
                raise KeyError("not yet")
"""


def test_one_job_that_failed_twice_is_counted_as_the_page_shows(application: Application, store: Store) -> None:
    application.write("jobs.py", JOBS)
    store.add(job_class="jobs.Flaky", retries=2)
    assert application.jobq("run", "--drain").returncode == 0

    (stats,) = PAGE.commands("Jobs and attempts")
    (shown,) = PAGE.code("Jobs and attempts", "text")
    assert application.jobq(*stats[1:]).stdout.startswith(shown)

    (since,) = PAGE.commands("Percentiles")
    told = application.jobq(*since[1:]).stdout
    assert "1 job ended" in told
    assert "3 attempts, 2 failed" in told
    assert "of 3" in told
    assert "MAX" in told


def test_the_table_has_a_row_for_each_kind_of_need() -> None:
    rows = re.findall(r"^\| (?!what |---)", PAGE.text, re.M)
    assert len(rows) == len(Kind) - 1, "MORE_FAILED is a line for what is not listed"


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"With fewer\nthan {FEW} attempts" in PAGE.text
    assert f"older than {OLD_SECONDS / 60:g} minutes" in PAGE.text
    assert f"due for more than {spoken(OLD_SECONDS)}" in PAGE.text
    assert f"in the period; with fewer than {FEW} attempts" in PAGE.text
    assert f"for good after {spoken(KEPT_SECONDS)}" in PAGE.text
    assert (UNDO_SECONDS, "**undone** for a minute" in PAGE.text) == (60, True)
    half = Settings(heartbeat_every=1.0, heartbeat_timeout=100.0)
    least = Settings(heartbeat_every=1.0, heartbeat_timeout=2.0)
    assert (half.silent_after, least.silent_after) == (50.0, 1.5)
