"""The examples of docs/gates.md: gates in real workers, and the commands of operators."""

from typing import TYPE_CHECKING, Any

import pytest

from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("gates")


@pytest.fixture
def shop(application: "Application") -> "Application":
    """The page's own classes in one module."""
    gates, _ = PAGE.code("")
    (lanes,) = PAGE.code("Lanes")
    application.write("jobs.py", gates + "\n\n" + lanes)
    return application


def test_a_job_goes_through_the_gate_of_the_page_and_the_history_proves_it(shop: "Application", store: "Store") -> None:
    _, use = PAGE.code("")
    assert shop.python(use).stdout.split()[0] == "gated"
    assert shop.jobq("enqueue", "jobs.Export", "7").returncode == 0
    assert shop.jobq("run", "--drain").returncode == 0
    assert [(row.gate, row.lane, row.outcome) for row in store.results()] == [
        ("crm", "acme", "successful"), ("exports", "tenant-7", "successful"),
    ]  # fmt: skip
    audit = shop.jobq("gates", "audit", "crm", "--since", "30d")
    assert audit.returncode == 0
    assert "kept" in audit.stdout


def test_the_commands_of_the_page_do_what_it_says(shop: "Application", store: "Store", eventually: Any) -> None:
    store.execute("INSERT INTO jobq.jobs (job_class, arguments) VALUES ('jobs.CallCrm', '{\"customer\": \"acme\"}')")
    with shop.start("run", "-q", "none"):
        eventually(lambda: "crm" in shop.jobq("gates").stdout)
        for section in ("Look", "Act", "Prove it"):
            for command in PAGE.commands(section):
                if "why" not in command:
                    told = shop.jobq(*command[1:])
                    assert told.returncode == 0, (command, told.stderr)
        (adopt, with_lane) = PAGE.commands("Adopt waiting jobs")
        assert "adopted 1" in shop.jobq(*adopt[1:], "--yes").stdout
        assert "adopted 0" in shop.jobq(*with_lane[1:], "--yes").stdout
    (job,) = store.unfinished()
    assert (job.gate, job.lane, job.state) == ("crm", "acme", "gated")


@pytest.mark.parametrize("word", ["limit", "rate", "by", "lane_limit", "lane_rate", "order", "after_loss"])
def test_the_table_of_the_page_has_every_argument_of_a_gate(word: str) -> None:
    from dataclasses import fields

    from jobq import Gate

    assert f"`{word}=" in PAGE.between("| argument", "All are optional")
    assert {field.name for field in fields(Gate)} - {"name"} == {
        "limit", "rate", "by", "lane_limit", "lane_rate", "order", "after_loss",
    }  # fmt: skip
