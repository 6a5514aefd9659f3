"""`jobq schedules`, as a shell runs it."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from test_commands import document, refused

from jobq.records import DeclaredSchedule
from jobq.runtime.scheduler import first_tick
from jobq.store import schedules as store_of

if TYPE_CHECKING:
    from conftest import Application, Store

WIDE = {"COLUMNS": "250"}

FIELDS = {
    "name", "job_class", "arguments", "queue", "expression", "words", "timezone", "missed", "overlap", "jitter",
    "next_at", "upcoming", "runs", "is_declared", "undeclared_at", "is_paused", "paused_at", "paused_by",
}  # fmt: skip


@pytest.fixture
def kept(sample: "Application", store: "Store") -> "Application":
    """An application whose two schedules some worker declares."""
    schedules = [
        DeclaredSchedule(
            name=name, job_class="jobs.Echo", arguments={"value": name}, queue="default", priority=0, retries=0,
            unique_key=None, expression=expression, timezone="Europe/Berlin", missed="once", overlap="allow", jitter=0,
            timeout=None, has_abort_hook=False,
        )
        for name, expression in (("hourly", "0 * * * *"), ("office", "0 9 * * MON-FRI"))
    ]  # fmt: skip
    worker = store.worker()
    store_of.declare(store.connection, store.schema, worker_id=worker, schedules=schedules, since=None)
    changes = [(change, first_tick(change)) for change in store_of.survey(store.connection, store.schema)]
    assert len(store_of.adopt(store.connection, store.schema, changes)) == len(changes)
    return sample


def by_name(application: "Application") -> dict[str, Any]:
    return {entry["name"]: entry for entry in document(application.jobq("schedules", "--json"))}


def test_the_list_says_what_each_schedule_means_and_when_it_comes_next(kept: "Application") -> None:
    listed = kept.jobq("schedules", environment=WIDE)

    assert listed.returncode == 0
    for words in ("hourly", "every hour", "office", "at 09:00 on Monday to Friday", "Europe/Berlin", "09:00 (in "):
        assert words in listed.stdout


def test_the_list_as_json_has_every_field(kept: "Application") -> None:
    hourly = by_name(kept)["hourly"]

    assert set(hourly) == FIELDS
    assert len(hourly["upcoming"]) == 3
    assert datetime.fromisoformat(hourly["next_at"]).tzinfo
    assert (hourly["is_declared"], hourly["is_paused"], hourly["runs"]) == (True, False, [])


def test_without_a_schedule_it_says_how_to_make_one(sample: "Application") -> None:
    listed = sample.jobq("schedules")

    assert (listed.returncode, listed.stdout) == (0, "")
    assert "[tool.jobq.schedules]" in listed.stderr
    assert document(sample.jobq("schedules", "--json")) == []


def test_a_run_by_hand_is_seen_with_its_outcome(kept: "Application", store: "Store") -> None:
    ran = document(kept.jobq("schedules", "run", "hourly", "--json"))
    (job,) = store.unfinished()
    assert ran == {"done": ["hourly"], "skipped": {}, "jobs": {"hourly": job.id}}
    assert by_name(kept)["hourly"]["runs"][0]["standing"] == "pending"

    kept.jobq("run", "--drain")

    (run,) = by_name(kept)["hourly"]["runs"]
    assert (run["standing"], run["job_id"], run["by_hand"]) == ("successful", job.id, True)
    assert run["run_seconds"] >= 0
    assert "successful" in kept.jobq("schedules", environment=WIDE).stdout


def test_pause_and_resume_say_by_whom_and_what_was_left_alone(kept: "Application") -> None:
    assert kept.jobq("schedules", "pause", "hourly", "office").stdout == "paused 2\n"
    assert "paused by" in kept.jobq("schedules", environment=WIDE).stdout
    assert by_name(kept)["office"]["is_paused"]

    again = kept.jobq("schedules", "pause", "hourly")
    assert (again.returncode, again.stdout) == (1, "paused 0\n")
    assert "it is paused already" in again.stderr

    assert kept.jobq("schedules", "resume", "hourly").stdout == "resumed 1\n"
    assert not by_name(kept)["hourly"]["is_paused"]


def test_a_schedule_that_is_not_declared_is_shown_as_such(kept: "Application", store: "Store") -> None:
    store.execute("UPDATE jobq.schedules SET undeclared_at = now() WHERE name = 'office'")

    assert "no longer declared" in kept.jobq("schedules", environment=WIDE).stdout
    assert by_name(kept)["office"]["upcoming"] == []


def test_a_preview_lists_the_ticks_that_will_come(kept: "Application") -> None:
    coming = document(kept.jobq("schedules", "preview", "--next", "24h", "--json"))

    assert [tick["schedule"] for tick in coming].count("hourly") == 24
    week = document(kept.jobq("schedules", "preview", "office", "--next", "7d", "--json"))
    assert [tick["schedule"] for tick in week] == ["office"] * 5
    assert "hourly" in kept.jobq("schedules", "preview").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "hourli"], ["no schedule 'hourli'", "Did you mean hourly"]),
        (["pause", "zzz"], ["no schedule 'zzz'"]),
        (["resume", "hourly", "zzz"], ["no schedule 'zzz'"]),
        (["preview", "zzz"], ["no schedule 'zzz'"]),
        (["run"], ["NAME"]),
        (["preview", "--next", "soon"], ["--next", "soon"]),
        (["preview", "--next", "-5"], ["--next"]),
        (["stop"], ["stop"]),
        (["--schema", "elsewhere", "run", "hourly"], ["Put --schema after 'run'"]),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    kept: "Application", store: "Store", arguments: list[str], words: list[str]
) -> None:
    refused(kept.jobq("schedules", *arguments), *words)

    assert store.unfinished() == []


def test_nothing_in_a_row_takes_effect_when_it_is_shown(kept: "Application", store: "Store") -> None:
    store.execute("UPDATE jobq.schedules SET name = E'\\x1b[31m' || name, paused_at = now(), paused_by = E'a\\x1b[1mb'")

    for command in (["schedules"], ["schedules", "preview"]):
        assert "\x1b" not in kept.jobq(*command).stdout
    assert json.loads(kept.jobq("schedules", "--json").stdout)
