"""docs/alerts.md: its job is told, its command runs, and its exit codes are those of `jobq doctor --check`."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobq.records import Alert
from pages import docs

if TYPE_CHECKING:
    from conftest import Application

PAGE = docs("alerts")

BROKEN = """
@register_job
class Charge(Job):
    def run(self) -> None:
        raise KeyError("vat")
"""


def test_the_fields_are_those_of_an_alert() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.text, re.M)
    assert rows == list(Alert.__dataclass_fields__)
    named = set(re.findall(r"JOBQ_ALERT_(\w+)", PAGE.text))
    assert named == {name.upper() for name in Alert("", "", "").as_text()}


def test_a_failure_is_told_by_the_job_and_by_the_command_of_the_page(
    application: "Application", store: Any, eventually: Callable[..., Any]
) -> None:
    (code,), (setting,) = PAGE.code("By a job of yours"), PAGE.code("By a job of yours", "toml")
    (command,) = PAGE.code("By a command", "toml")
    told = "cat > told.txt; echo $JOBQ_ALERT_KIND >> told.txt"
    application.write("jobs.py", code + BROKEN)
    pyproject = (application.path / "pyproject.toml").read_text()
    settings = pyproject + setting.removeprefix("[tool.jobq]\n") + f'alert_command = "{told}"\n'
    assert "alert_command" in command
    application.jobq("enqueue", "jobs.Charge")
    check = PAGE.commands("When no worker lives")[0][1:]
    assert application.jobq(*check).returncode == 4
    application.jobq("run", "--drain")
    application.write("pyproject.toml", settings)
    with application.start("run") as worker:
        eventually(lambda: (application.path / "told.txt").exists(), timeout=120)  # looks are half a minute apart
        eventually(lambda: "✗ jobs.Charge: 1 × KeyError" in worker.stdout)
        checked = application.jobq(*check)
        assert checked.returncode == 1
        assert "jobs.Charge: 1 × KeyError" in checked.stdout
    text, place, kind = (application.path / "told.txt").read_text().splitlines()
    assert (text.startswith("jobs.Charge: 1 × KeyError"), kind) == (True, "failed")
    assert re.fullmatch(r"jobq tui '?failures/\w+'?", place)


def test_the_exit_codes_are_those_of_the_page(application: "Application", store: Any) -> None:
    store.worker()
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() + interval '1 hour'")
    assert application.jobq("doctor", "--check").returncode == 0
    lost = application.jobq("doctor", "--check", environment={"JOBQ_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    assert lost.returncode == 3
    assert re.findall(r"^\| (\d) \|", PAGE.text, re.M) == ["0", "1", "3", "4"]
