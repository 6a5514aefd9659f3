"""docs/jobs.md does what it says."""

from typing import TYPE_CHECKING

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("jobs")


def test_jobs_defined_as_on_the_page_have_what_they_ask_for(application: "Application", store: "Store") -> None:
    (definition,), (use,), (function,) = (PAGE.code(title) for title in ("Define a job", "Enqueue jobs", "Functions"))
    application.write("jobs.py", definition + function)
    application.python(f"{use}\nfrom jobs import remind\nassert remind(7)\nremind.later(7)")

    *receipts, reminder = store.unfinished()
    assert [(job.queue, job.priority, job.retries) for job in receipts] == [("mail", 10, 5)] * 2
    assert [job.unique_key for job in receipts] == ["receipt-1", "receipt-2"]
    assert reminder.unique_key == "reminder-7"
    application.jobq("run", "--drain")
    values = [result.value for result in store.results()]
    assert sorted(values, key=str) == sorted([{"sent": 1}, {"sent": 2}, "reminded of order 7"], key=str)


def test_renamed_parameters_are_kept_migrated_and_checked_as_on_the_page(
    application: "Application", store: "Store"
) -> None:
    (definition,) = PAGE.code("Renamed parameters")
    application.write("jobs.py", definition)
    application.python("from jobs import Charge, Secret; Charge('ada', Secret('open-sesame')).run_in_worker()")
    store.add(job_class="jobs.Charge", arguments='{"user": "eve", "token": {"$": "secret", "v": "abc"}}')

    assert application.jobq("check", "--pending").returncode == 0
    listed = application.jobq("list", "--json").stdout
    application.jobq("run", "--drain", "--max-processes", "1")

    assert "•••" in listed
    assert "open-sesame" not in listed
    assert [result.value for result in store.results()] == [
        "charged ada with a token of 11 characters",
        "charged eve with a token of 3 characters",
    ]
