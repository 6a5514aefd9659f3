"""docs/builds.md: its commands run, and its sentences are those that jobq says."""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobq.observe.builds import Origin, origin_text
from pages import docs

if TYPE_CHECKING:
    from conftest import Application

PAGE = docs("builds")

JOBS = """
    import os
    from jobq import Job, register_job

    @register_job
    class Charge(Job):
        def run(self) -> None:
            if os.environ["JOBQ_BUILD"] == "a41c9e2":
                raise KeyError("vat")
"""


def test_the_sentences_of_the_page_are_those_that_are_said() -> None:
    new, back = PAGE.code("Look", "text")[0].splitlines()
    at = datetime(2026, 12, 1, 14, 1, tzinfo=UTC)
    assert origin_text(Origin(at, "a41c9e2", 41_200), at) == new
    earlier = datetime(2026, 11, 28, 9, 12, tzinfo=UTC)
    assert origin_text(Origin(earlier, "a41c9e2", 41_200, (), "c0ffee1", ("b22d1aa",)), at) == back


def test_the_variable_of_the_page_is_the_one_that_is_read() -> None:
    assert re.findall(r"ENV (\w+)=", PAGE.code("The name of a build", "dockerfile")[0]) == ["JOBQ_BUILD"]


def test_a_failure_is_looked_at_by_build_and_retried_once_the_fix_is_deployed(
    application: "Application", store: Any
) -> None:
    def run(build: str) -> None:
        application.jobq("run", "--drain", environment={"JOBQ_BUILD": build})

    application.write("jobs.py", JOBS)
    assert application.jobq("enqueue", "jobs.Charge").returncode == 0
    run("a41c9e2")
    for words in PAGE.commands("Look"):
        done = application.jobq(*words[1:])
        assert done.returncode == 0, done.stderr
        assert "a41c9e2" in done.stdout or words[1] == "stats" or words[1] == "list"
    (job,) = json.loads(application.jobq("list", "build:a41c9e2 outcome:errored", "--json").stdout)
    (group,) = json.loads(application.jobq("failures", "--json").stdout)
    assert group["origin"]["build"] == "a41c9e2"
    (words,) = PAGE.commands("Retry once the fix is deployed")
    words = [group["group"] if word == "1f2e3d4c5b6a" else word for word in words[1:]]
    left = application.jobq(*words, "--yes")
    assert left.returncode == 0, left.stderr
    assert "waits for a build younger than a41c9e2" in left.stdout
    assert "waits for a build younger than a41c9e2" in application.jobq("builds").stdout
    run("a41c9e2")
    assert store.results(job["id"])[-1].outcome == "errored"
    run("d00d1e5")
    run("d00d1e5")  # the first one may have been through before the retry
    assert [row.outcome for row in store.results(job["id"])] == ["errored", "successful"]
    refused = application.jobq("retry", "--group", "x", "--on-build", ">nobody", "--yes")
    assert (refused.returncode, "No worker ever had build nobody" in refused.stderr) == (2, True)
