"""A class that has got a new name: its jobs are stored under the old one, and are shown and found under the new one."""

from collections.abc import Callable
from typing import Any

import pytest
from driving import opened, press, run, text_of, type_text
from jobq.tui import search
from jobq.tui.access import Target
from jobq.tui.live import LiveSource
from jobq.tui.source import FIRST_SECONDS, VIEW_BY_NAME

from jobq.records import ClassRecord
from jobq.store.database import Database

OLD, NEW = "shop.jobs.SendMail", "shop.jobs.SendReceipt"


@pytest.fixture
def source(database: Database, store: Any, report: Callable[..., Any]) -> LiveSource:
    """One job has failed, one waits; a live worker has the code with the new name."""
    worker = store.worker(classes=[ClassRecord(NEW, (OLD,), (), None)])
    store.add(job_class=OLD)
    (assignment,) = store.claim(worker, classes=[OLD])
    error = {"error_type": "TimeoutError", "error_message": "30 s", "fingerprint": "a" * 16}
    store.finish(worker, report(assignment, outcome="errored", **error))
    store.add(job_class=OLD)
    return LiveSource(database, Target("here", database.schema, "development", is_read_only=False), lambda: None)


def test_every_answer_has_the_new_name(source: LiveSource) -> None:
    snapshot = source.look(FIRST_SECONDS)
    (pending,) = source.jobs(source.query(VIEW_BY_NAME["pending"], ""), limit=10, after=None).jobs
    (group,) = source.failures(FIRST_SECONDS)
    selected = source.select(source.query(VIEW_BY_NAME["errored"], ""), lambda _seen: None)
    assert {one.job_class for one in (pending, group, source.job(pending.id).job, *snapshot.failing.groups)} == {NEW}
    assert selected.classes == ((NEW, 1),)
    assert source.stored_name(NEW) == OLD


@pytest.mark.parametrize("name", [OLD, NEW])
def test_jobs_and_groups_are_found_by_both_names(source: LiveSource, name: str) -> None:
    source.look(FIRST_SECONDS)
    assert source.matches(source.query(VIEW_BY_NAME["errored"], f"class:{name}")).number == 1
    (group,) = source.failures(FIRST_SECONDS)
    for text in (f"class:{name}", name):
        assert search.fits(group, search.group_filter(text), source.stored_name(group.job_class))


def test_a_job_stays_found_while_the_console_learns_its_new_name(source: LiveSource) -> None:
    query = source.query(VIEW_BY_NAME["pending"], "")
    before = source.jobs(query, limit=10, after=None).jobs
    source.look(FIRST_SECONDS)
    after = source.jobs(query, limit=10, after=None).jobs
    assert [job.job_class for job in (*before, *after)] == [OLD, NEW]


def test_the_list_of_failures_is_narrowed_by_the_old_name_and_shows_the_new_one(source: LiveSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "3", "backslash")
            await type_text(pilot, f"class:{OLD}")
            await press(pilot, "enter")
            assert "1 group" in text_of(pilot.app)
            assert "SendReceipt" in text_of(pilot.app)

    run(flow)
