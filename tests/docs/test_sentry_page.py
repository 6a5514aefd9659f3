"""docs/sentry.md does what it says."""

import json
import re
import tomllib
from typing import TYPE_CHECKING

from pages import ROOT, docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("sentry")

TRANSPORT = """
from sentry_sdk.transport import Transport
import json

class IntoFile(Transport):
    def capture_envelope(self, envelope):
        with open("envelopes.jsonl", "a") as file:
            for item in envelope.items:
                file.write(json.dumps([item.type, item.payload.json], default=str) + "\\n")

import sentry_sdk.client
sentry_sdk.client.make_transport = IntoFile
"""


def test_the_job_of_the_page_is_reported_as_the_page_says(application: "Application", store: "Store") -> None:
    (table,) = PAGE.code("Set it up", "toml")
    (names,) = tomllib.loads(table)["tool"]["jobq"].values()
    (definition,) = PAGE.code("Set it up")
    application.write("jobs.py", TRANSPORT + definition)
    job = store.add(job_class="jobs.Charge", arguments='{"order": 7, "card": {"$": "secret", "v": "4111-1111"}}')
    finished = application.jobq("run", "--drain", "-p", "1", environment={"JOBQ_MIDDLEWARE": ",".join(names)})
    assert finished.returncode == 1, finished.stderr
    ((kind, event),) = [json.loads(line) for line in (application.path / "envelopes.jsonl").read_text().splitlines()]
    assert (kind, event["level"], event["transaction"]) == ("event", "error", "jobs.Charge")
    assert event["tags"]["jobq.job"] == str(job)
    (tags,) = re.findall(r"^\| tags \| (.*) \|$", PAGE.text, re.M)
    assert set(re.findall(r"`([\w.]+)`", tags)) == set(event["tags"])
    (context,) = re.findall(r"^\| context `jobq` \| (.*) \|$", PAGE.text, re.M)
    assert set(re.findall(r"`(\w+)`", context)) == set(event["contexts"]["jobq"])
    assert "4111-1111" not in json.dumps(event)


def test_the_page_installs_an_extra_that_there_is() -> None:
    (command,) = PAGE.commands("Set it up")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert command == ["pip", "install", "jobq[sentry]"]
    assert any(one.startswith("sentry-sdk") for one in extras["sentry"])
