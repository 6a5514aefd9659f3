"""A class that is renamed while workers of both releases run: keys, schedules and figures go by one name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
    from jobq import Job, Schedule, register_job

    @register_job{alias}
    class {name}(Job):
        schedule = Schedule.from_cron("0 9 1 1 *", arguments={{"outcome": "good"}})

        def __init__(self, outcome):
            self.outcome = outcome

        def run(self):
            if self.outcome == "bad":
                raise ValueError("bad")
            return "{name}"
"""

OLD = JOBS.format(alias="", name="Old")
MIDDLE = JOBS.format(alias='(alias="jobs.Old")', name="Middle")
NEW = JOBS.format(alias='(alias=["jobs.Old", "jobs.Middle"])', name="New")

RELEASES = {"Old": OLD, "Middle": MIDDLE, "New": NEW}


def enqueue(application: "Application", name: str, outcome: str = "good", **options: Any) -> str:
    """With the code that is there: what the program printed is the id, or None."""
    application.write("jobs.py", RELEASES[name])
    program = f"from jobs import {name}; job = {name}({outcome!r}).run_in_worker(**{options!r}); print(job and job.id)"
    return application.python(program).stdout.strip()


def knows(store: "Store", *names: str) -> bool:
    rows = store.rows(
        "SELECT class ->> 'name' AS name FROM jobq.workers, jsonb_array_elements(classes) AS class "
        "WHERE stopped_at IS NULL AND schedules_at IS NOT NULL"
    )
    return {row.name for row in rows} >= {f"jobs.{name}" for name in names}


@pytest.mark.parametrize("releases", [("Old", "Middle", "New"), ("New", "Middle", "Old")], ids=["on", "and back"])
def test_a_key_is_held_once_through_two_renames(
    application: "Application", store: "Store", releases: tuple[str, ...]
) -> None:
    first, *later = [enqueue(application, name, unique_key="k") for name in releases]

    assert first != "None"
    assert later == ["None"] * 2
    assert len(store.unfinished()) == 1


def test_a_schedule_fires_once_and_each_release_runs_what_the_other_enqueued(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    application.write("jobs.py", OLD)
    with application.start("run", "--max-processes", "1") as old:
        eventually(lambda: knows(store, "Old") and store.rows("SELECT name FROM jobq.schedules"))
        store.execute("UPDATE jobq.schedules SET next_at = next_at - interval '1 year'")
        application.write("jobs.py", NEW)
        with application.start("run", "--max-processes", "1", "--queue", "other"):
            eventually(lambda: knows(store, "Old", "New"))
            # Due since before the new worker came: that one serves it, or else the old one does.
            eventually(lambda: store.rows("SELECT schedule FROM jobq.ticks"))
            enqueue(application, "New")
            eventually(lambda: len(store.results()) == 2)
            for name in ("New", "Old", "Middle"):  # in SQL by any name
                query = "SELECT jobq.enqueue(%s, '{}', delay => '1 hour', unique_key => 'k')"
                store.execute(query, f"jobs.{name}")
            assert [job.job_class for job in store.unfinished()] == ["jobs.Old"]
        old.kill()
    # The new worker works another queue: the old one has run what the schedule and the new code enqueued.
    assert [(result.job_class, result.value) for result in store.results()] == [("jobs.Old", "Old")] * 2
    assert [row.name for row in store.rows("SELECT name FROM jobq.schedules")] == ["jobs.Old"]
    assert [tick.schedule for tick in store.rows("SELECT * FROM jobq.ticks")] == ["jobs.Old"]


def test_figures_failures_and_filters_take_the_old_name_and_the_new_one_for_one(
    application: "Application", store: "Store"
) -> None:
    for name in ("Old", "New"):
        enqueue(application, name, "bad")
        assert application.jobq("run", "--drain").returncode == 1

    assert len({(result.job_class, result.fingerprint) for result in store.results()}) == 1
    for name in ("Old", "Middle", "New"):
        listed = application.jobq("list", f"class:jobs.{name}", "outcome:errored", "--json")
        assert listed.stdout.count('"job_class"') == 2, listed.stdout + listed.stderr
        stats = application.jobq("stats", "--since", "1h", "--class", f"jobs.{name}", "--json")
        assert '"errored": 2' in stats.stdout, stats.stdout + stats.stderr
    assert application.jobq("list", "class:jobs.*ew", "outcome:errored", "--json").stdout.count('"job_class"') == 2
    assert application.jobq("list", "class:jobs.Other", "outcome:errored", "--json").stdout.count('"job_class"') == 0
