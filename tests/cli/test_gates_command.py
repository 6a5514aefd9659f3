"""`jobq gates`, as a shell runs it."""

from typing import TYPE_CHECKING

import pytest
from test_commands import document, refused

from jobq.records import ClassRecord
from jobq.store import gates

if TYPE_CHECKING:
    from conftest import Application, Store

CRM = {"name": "crm", "limit": 20, "by": "customer", "lane_limit": 2, "is_strict": False, "waits_after_loss": False}


@pytest.fixture
def crm(sample: "Application", store: "Store") -> "Application":
    """An application with a gate that some worker declares, and three jobs that wait there."""
    store.worker(classes=[ClassRecord("jobs.Echo", (), (), None, gate=CRM)])
    gates.declare(store.connection, store.schema, loss_wait_seconds=0.0)
    for lane in ("acme", "acme", "globex"):
        store.add(job_class="jobs.Echo", gate="crm", lane=lane)
    return sample


def test_the_list_and_one_gate_with_its_lanes(crm: "Application") -> None:
    listed = crm.jobq("gates")
    assert listed.returncode == 0
    title, row = listed.stdout.splitlines()
    assert title.split()[:3] == ["GATE", "RUNNING", "RATE"]
    assert row.split()[:4] == ["crm", "0/20", "2", "3"]
    shown = crm.jobq("gates", "show", "crm").stdout
    assert "lanes by customer, 2 at once in each lane" in shown
    assert [line.split()[:3] for line in shown.splitlines()[-2:]] == [["acme", "0/2", "2"], ["globex", "0/2", "1"]]


def test_the_documents_have_the_limit_that_holds(crm: "Application") -> None:
    assert crm.jobq("gates", "limit", "crm", "5", "--for", "1h", "--reason", "slow").returncode == 0
    (one,) = document(crm.jobq("gates", "--json"))
    assert (one["limit"], one["declared_limit"], one["set_reason"], one["waiting"]) == (5, 20, "slow", 3)
    found = document(crm.jobq("gates", "show", "crm", "--json"))
    assert [lane["name"] for lane in found["shown_lanes"]] == ["acme", "globex"]
    undone = crm.jobq("undo")
    assert undone.returncode == 0
    assert document(crm.jobq("gates", "--json"))[0]["limit"] == 20


def test_an_act_that_does_nothing_says_why_and_ends_with_1(crm: "Application") -> None:
    done = crm.jobq("gates", "resume", "crm", "--lane", "acme")
    assert done.returncode == 1
    assert done.stderr == "lane acme of crm was left alone: it is not paused\n"


def test_a_mistake_is_told_with_what_there_is(crm: "Application") -> None:
    refused(crm.jobq("gates", "pause", "cmr"), "There are: crm.")
    refused(crm.jobq("gates", "limit", "crm"), "either a limit or --as-declared")
    refused(crm.jobq("gates", "pause", "crm", "--for", "0"), "no length of time")
    refused(crm.jobq("gates", "--json", "show", "crm"), "Put --json after 'show'")


def test_a_pause_stands_in_the_audit_with_who_and_why(crm: "Application") -> None:
    assert crm.jobq("gates", "pause", "crm", "--lane", "acme", "--reason", "they asked").stdout == (
        "lane acme of crm is paused\n"
    )
    (act,) = document(crm.jobq("audit", "--json"))
    assert (act["verb"], act["names"], act["selection"]) == ("pause gate", ["crm"], "lane acme, they asked")


def test_a_filter_on_a_gate_chooses_jobs_for_acts(crm: "Application") -> None:
    listed = document(crm.jobq("list", "gated", "gate:crm", "lane:acme", "--json"))
    assert [(job["gate"], job["lane"], job["state"]) for job in listed] == [("crm", "acme", "gated")] * 2
    cancelled = crm.jobq("cancel", "gate:crm", "--yes")
    assert cancelled.stdout == "cancelled 3\n"


def test_the_proof_of_a_gate_without_history_is_kept(crm: "Application") -> None:
    found = document(crm.jobq("gates", "audit", "crm", "--json"))
    assert (found["attempts"], found["is_kept"], found["limit"]) == (0, True, 20)


def test_without_gates_the_list_says_how_to_have_one(sample: "Application") -> None:
    listed = sample.jobq("gates")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "there is no gate: give a job class one" in listed.stderr
