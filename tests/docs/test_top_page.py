"""docs/top.md: its commands show what runs, with the figures that its worker told."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from jobq.tui.screens.job_page_text import usage_words

from jobq.observe import Usage
from pages import docs

if TYPE_CHECKING:
    from conftest import Application

PAGE = docs("top")

JOBS = """
    import time
    from jobq import Job, register_job

    @register_job
    class Burn(Job):
        def run(self) -> None:
            self.memory = bytearray(80_000_000)
            end = time.monotonic() + 60
            while time.monotonic() < end:
                pass
"""


def test_the_commands_show_cpu_and_memory_of_what_runs(
    application: "Application", eventually: Callable[..., Any]
) -> None:
    application.write("jobs.py", JOBS)
    application.jobq("enqueue", "jobs.Burn")
    _, once, as_json = PAGE.commands("") or PAGE.commands("What runs now")
    beats = {"JOBQ_HEARTBEAT_EVERY": "0.5", "JOBQ_MAX_PROCESSES": "1"}

    def figures() -> dict[str, Any] | None:
        seen = json.loads(application.jobq(*as_json[1:]).stdout)
        if not seen["running"]:
            return None
        usage: dict[str, Any] | None = seen["running"][0][1]
        return usage if usage is not None and usage["cpus"] and usage["memory_bytes"] > 80e6 else None

    with application.start("run", environment=beats):
        usage = eventually(figures)
        shown = application.jobq(*once[1:]).stdout
    assert 0 < usage["cpus"] <= 1.5
    assert all(column in shown for column in re.findall(r"^\| `([A-Z]+)` \|", PAGE.text, re.M))
    assert re.search(r"\d\.\d\d +\d+ MB +default .* jobs\.Burn", shown)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (None, ""),
        (Usage(84_000_000, 0.97, 2.0), "  84 MB  0.97 CPU"),
        (Usage(84_000_000, None, 2.0), "  84 MB"),
        (Usage(None, 1.5, 2.0), "  1.50 CPU"),
    ],
)
def test_the_page_of_a_job_says_what_its_process_uses(usage: Usage | None, words: str) -> None:
    assert usage_words(usage) == words
