"""docs/losses.md does what it says."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobq.settings import Settings
from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

WORK = """

@register_job
class Work(Job):
    def __init__(self, n=None):
        pass

    def run(self):
        pass
"""


def test_the_job_that_kills_its_worker_has_the_attempts_that_the_page_names(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    page = docs("losses")
    (definition,) = page.code("What counts as a loss")
    application.write("jobs.py", definition)
    job = store.add(job_class="jobs.KillsItsWorker")
    for _ in range(3):
        environment = {"JOBQ_MAX_LOSSES": "2", "JOBQ_POLL_EVERY": "0.1"}
        with application.start("run", "-p", "1", environment=environment) as worker:
            eventually(lambda worker=worker: worker.process.poll() is not None)
        store.execute("UPDATE jobq.workers SET stopped_at = now(), stop_reason = 'silent' WHERE stopped_at IS NULL")
        store.rescue(max_losses=2)
    told = [result.error_message.partition("; ")[2] for result in store.results(job)]
    assert "\n".join(told) in page.text
    assert store.unfinished() == []


def test_the_row_of_the_page_ends_as_errored_and_is_named_with_the_command_that_removes_it(
    application: "Application", store: "Store", settings: Settings
) -> None:
    page = docs("losses")
    (definition,) = page.code("What counts as a loss")
    (insert,) = page.code("Rows that no worker can run", "sql")
    application.write("jobs.py", definition + WORK)
    store.execute(insert)
    ordinary = store.add(job_class="jobs.Work")
    assert application.jobq("run", "--drain", "-p", "1").returncode == 1
    (impossible,) = store.rows("SELECT id, outcome, error_type FROM jobq.results WHERE id <> %s", ordinary)
    assert (impossible.outcome, impossible.error_type) == ("errored", "ArgumentsTooLarge")
    assert store.results(ordinary)[0].outcome == "successful"
    assert f"jobq purge {impossible.id}" in application.jobq("why", str(impossible.id)).stdout


def test_a_job_that_takes_its_worker_down_is_found_out_and_its_neighbours_are_not_blamed(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    page = docs("losses")
    (definitions,) = page.code("What is lost together")
    application.write("jobs.py", definitions)
    neighbours = [store.add(job_class="jobs.Neighbour") for _ in range(2)]
    poison = None
    environment = {"JOBQ_MAX_LOSSES": "1", "JOBQ_POLL_EVERY": "0.1", "JOBQ_HEARTBEAT_EVERY": "0.05"}

    def is_rescued(number: int) -> bool:
        """The killed worker's session may hold its rows for a moment, and a rescue passes over held rows."""
        store.rescue(max_losses=1)
        return len(store.results(poison)) == number

    for number in (1, 2):
        with application.start("run", "-p", "3", environment=environment) as worker:
            if poison is None:
                eventually(lambda: store.rows(TOLD_OF_TWO))
                poison = store.add(job_class="jobs.TakesAllDown")
            eventually(lambda worker=worker: worker.process.poll() is not None)
        store.execute("UPDATE jobq.workers SET stopped_at = now(), stop_reason = 'silent' WHERE stopped_at IS NULL")
        eventually(lambda number=number: is_rescued(number))
        (application.path / "go").touch()
    assert [(one.outcome, one.retried) for one in store.results(poison)] == [("lost", True), ("lost", False)]
    assert [store.results(job)[-1].outcome for job in neighbours] == ["successful", "successful"]


TOLD_OF_TWO = "SELECT FROM jobq.workers WHERE (SELECT count(*) FROM jsonb_object_keys(status -> 'begun')) = 2"
"""The worker has told with its heartbeat that both neighbours have begun."""
