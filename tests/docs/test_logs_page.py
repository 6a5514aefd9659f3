"""docs/logs.md does what it says."""

import json
import re
from typing import TYPE_CHECKING

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("logs")
JOBS = "What your jobs log and print"

ENVIRONMENT = {"JOBQ_APP": "shop"}


def masked(line: str) -> str:
    """Without what differs from run to run: times, and the job's id."""
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", line)
    return re.sub(r"ran=\S+", "ran=…", re.sub(r"(job=|\"job\": )\d+", r"\1N", line))


def test_the_job_of_the_page_has_the_lines_of_the_page(application: "Application", store: "Store") -> None:
    application.write("shop.py", PAGE.code(JOBS)[0])
    store.add(job_class="shop.Ship", arguments='{"order": 7}')
    finished = application.jobq("run", "--drain", "-p", "1", environment=ENVIRONMENT)
    lines = [masked(line) for line in (finished.stdout + finished.stderr).splitlines()]
    (failure,) = PAGE.text.partition("## ")[0].partition("```text\n")[2].splitlines()[:1]
    shown = [failure, *(f"TIME {line}" for line in PAGE.code(JOBS, "text")[0].splitlines())]
    for line in shown:
        assert masked(line) in lines, lines


def test_the_table_has_every_key_of_a_record_and_no_other(application: "Application", store: "Store") -> None:
    application.write("shop.py", PAGE.code(JOBS)[0])
    store.add(job_class="shop.Ship", arguments='{"order": 7}', retries=1)
    finished = application.jobq(
        "run", "--drain", "-p", "1", "--log-format", "json", "--log-level", "debug", environment=ENVIRONMENT
    )
    lines = (finished.stdout + finished.stderr).splitlines()
    records = [json.loads(line) for line in lines]
    keys = {key for record in records if "job" in record for key in record} - {"order"}
    table = PAGE.text.partition("## As JSON")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == keys
    (example,) = PAGE.code("As JSON", "json")
    assert masked(example.strip()) in map(masked, lines)


def test_a_configured_root_logger_is_left_alone_and_its_lines_name_the_job(
    application: "Application", store: "Store"
) -> None:
    application.write("shop.py", PAGE.code("If you configure logging yourself")[0] + PAGE.code(JOBS)[0])
    job = store.add(job_class="shop.Ship", arguments='{"order": 7}')
    finished = application.jobq("run", "--drain", "-p", "1", environment=ENVIRONMENT)
    lines = finished.stderr.splitlines()
    assert f"INFO shop.orders [{job} shop.Ship] packing order 7" in lines
    assert not any("shop.orders job=" in line for line in lines)
    start = lines.index(next(line for line in lines if line.startswith("ERROR jobq.job [")))
    assert lines[start + 1] == "Traceback (most recent call last):", "its handlers get the failure with its traceback"


def test_logging_of_django_may_be_json(application: "Application", store: "Store", database_url: str) -> None:
    (logging,) = PAGE.code("With Django")
    application.write("site_settings.py", f"SECRET_KEY = 'x'\nDATABASES = {{}}\n{logging}")
    application.write("jobs.py", "import django\ndjango.setup()\n" + PAGE.code(JOBS)[0])
    job = store.add(job_class="jobs.Ship", arguments='{"order": 7}')
    environment = {"DJANGO_SETTINGS_MODULE": "site_settings", "JOBQ_DATABASE_URL": database_url}
    finished = application.jobq("run", "--drain", "-p", "1", environment=environment)
    records = [json.loads(line) for line in finished.stderr.splitlines() if line.startswith("{")]
    (packing,) = [record for record in records if record["logger"] == "shop.orders"]
    assert (packing["job"], packing["class"], packing["order"]) == (job, "jobs.Ship", 7)
