"""Tasks of Django in a real project: enqueued in its transactions, run by a worker, read back."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobq.store.database import who_am_i
from tests.application.django_project import Project, prepared

if TYPE_CHECKING:
    from conftest import Application, Store


@pytest.fixture
def project(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    return prepared(Project(application), database_url, monkeypatch)


ENQUEUE = """
import json
from django.db import transaction
from shop.tasks import welcome

with transaction.atomic():
    kept = welcome.enqueue("ada", copies=2)
try:
    with transaction.atomic():
        welcome.enqueue("bob")
        raise ValueError
except ValueError:
    print(json.dumps(kept.id))
"""


def test_a_task_with_rules_for_a_held_key_goes_by_them(project: Project, store: "Store") -> None:
    enqueued = project.shell("""
import json
from shop.tasks import refresh
print(json.dumps([refresh.enqueue(number).id for number in (1, 2)]))
""")
    (job,) = store.unfinished()
    assert enqueued == [str(job.id)] * 2
    assert job.arguments == {"number": 2}

    worker = store.worker()
    store.claim(worker, classes=("shop.tasks.refresh",))
    followed = project.shell("""
import json
from shop.tasks import refresh
result = refresh.enqueue(3)
print(json.dumps([result.id, result.status, result.args, result.kwargs]))
""")
    assert followed[:2] == [str(job.id), "RUNNING"]
    assert (followed[3] or dict(zip(["number"], followed[2], strict=False))) == {"number": 2}
    assert store.job(job.id).follow_up["arguments"] == {"number": 3}


def test_a_task_is_in_when_the_transaction_commits_and_its_result_is_read_back(
    project: Project, store: "Store"
) -> None:
    task = project.shell(ENQUEUE)

    (job,) = store.unfinished()
    assert (str(job.id), job.job_class, job.queue, job.priority, job.retries) == (
        task,
        "shop.tasks.welcome",
        "mail",
        10,
        2,
    )
    assert job.arguments == {"customer": "ada", "copies": 2}
    assert job.source == who_am_i()  # what is typed has no file
    project.work()
    read = f"""
import json
from shop.tasks import welcome
result = welcome.get_result("{task}")
print(json.dumps([result.status, result.return_value, result.args, result.kwargs, result.attempts, result.is_finished]))
"""
    value = {"customer": "ada", "copies": 2, "orders": 0}
    assert project.shell(read) == ["SUCCESSFUL", value, ["ada"], {"copies": 2}, 1, True]


ENQUEUE_ALL = """
import asyncio, json
from datetime import timedelta
from django.utils import timezone
from shop import tasks

results = {
    "identify": tasks.identify.enqueue(name="ada"),
    "count": asyncio.run(tasks.count.aenqueue()),
    "fail": tasks.fail.enqueue("no money"),
    "report": tasks.report.enqueue(7),
    "returns_what_is_no_json": tasks.returns_what_is_no_json.enqueue(),
    "hangs": tasks.hangs.enqueue(),
    "killed": tasks.killed.enqueue(),
    "later": tasks.welcome.using(run_after=timezone.now() + timedelta(hours=1), priority=-5).enqueue("eve"),
}
results["report again"] = tasks.report.enqueue(7)
print(json.dumps({name: result.id for name, result in results.items()}))
"""


def test_tasks_of_every_kind_run_and_tell_how_they_ended(project: Project, store: "Store", tmp_path: Path) -> None:
    seen = tmp_path / "signals"
    ids = project.shell(ENQUEUE_ALL)
    store.add(job_class="os.getcwd")

    project.manage(
        *("jobq", "run", "--drain", "--max-processes", "1"),
        environment={"SHOP_SIGNALS": str(seen), "JOBQ_MAX_LOSSES": "1"},
        code=1,
    )

    found = project.read(ids)
    assert {name: (result["status"], result["attempts"]) for name, result in found.items()} == {
        **dict.fromkeys(("identify", "count", "report", "report again"), ("SUCCESSFUL", 1)),
        **dict.fromkeys(("returns_what_is_no_json", "hangs", "killed"), ("FAILED", 1)),
        "fail": ("FAILED", 2),
        "later": ("READY", 0),
    }
    identity = found["identify"]
    assert identity["value"] == [ids["identify"], 1, "ada", "RUNNING", identity["workers"][0]]
    assert found["count"]["value"] == 0
    assert ids["report again"] == ids["report"]
    assert {name: result["errors"] for name, result in found.items() if result["errors"]} == {
        "fail": ["ValueError", "ValueError"],
        "returns_what_is_no_json": ["TypeError"],
        "hangs": ["JobTimedOut"],
        "killed": ["JobqError"],
    }
    assert found["fail"]["told"].count("ValueError: no money\n") == 2
    assert "was killed by SIGKILL" in found["killed"]["told"]
    assert "task_jobs.py" not in found["fail"]["told"]
    assert found["later"]["task"] == ["welcome", "mail", -5, True]
    assert (found["later"]["times"], found["fail"]["times"]) == ([1, None, None], [1, 1, 1])
    told = seen.read_text().splitlines()
    assert [line for line in told if line.startswith("fail ")] == [
        "fail started RUNNING JobqBackend",
        "fail started RUNNING JobqBackend",
        "fail finished FAILED JobqBackend",
    ]
    ends = {line.split()[0]: line.split()[2] for line in told if " finished " in line}
    assert ends == {name: found[name]["status"] for name in ends}
    assert ends.keys() == found.keys() - {"later", "report again"}
    assert [job.job_class for job in store.unfinished()] == ["shop.tasks.welcome", "os.getcwd"]


def test_what_is_no_task_of_the_application_has_no_result(project: Project, store: "Store") -> None:
    strange = [store.add(job_class=name) for name in ("os.getcwd", "shop.jobs.Ship")]
    missing = project.shell(f"""
import json
from jobq.django.task_api import TaskResultDoesNotExist
from shop.tasks import report

def is_missing(id):
    try:
        report.get_result(id)
    except TaskResultDoesNotExist:
        return True

print(json.dumps([is_missing(id) for id in [*{strange!r}, "999", "abc", "-1", "٣", str(2**70), None]]))
""")

    assert missing == [True] * 8
