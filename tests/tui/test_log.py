"""What a job said, in the console, on a real database: the last words of a dead one, and those of one that runs."""

import json
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from driving import look, opened, press, run, text_of
from jobq.tui.access import Target
from jobq.tui.live import LiveSource

from jobq.records import LogPart
from jobq.store import logs, migrations
from jobq.store.database import Database

ERRORED = ["right"] * 5


def live(database: Database, *, is_read_only: bool = False) -> LiveSource:
    target = Target("here", database.schema, "development", is_read_only)
    return LiveSource(database, target, lambda: migrations.migrate(database))


def say(store: Any, job_id: int, attempt: int, first: int, *messages: str) -> None:
    lines = [json.dumps([first + place, 5, 30, "shop", text]) for place, text in enumerate(messages)]
    part = LogPart(
        *(job_id, attempt, "shop.Ship", "default", monotonic()),
        said=first + len(messages),
        level=30,
        lines="\n".join(lines),
    )
    logs.add(store.connection, store.schema, worker_id=1, parts=[part], now=monotonic())


def test_three_keys_lead_to_what_a_dead_job_said_last(
    store: Any, database: Database, report: Callable[..., Any]
) -> None:
    worker = store.worker()
    job = store.add(retries=1)
    (first,) = store.claim(worker)
    store.retry(worker, report(first, "errored", error_type="ValueError", retry_delay=0.0))
    (second,) = store.claim(worker)
    store.finish(worker, report(second, "lost", error_type="ProcessDied", fingerprint="abcdef01"))
    say(store, job, 1, 0, "of the first attempt")
    say(store, job, 2, 0, "opened \x1b[2J[red]file[/]", "row 41,203\nof 90,000")
    say(store, job, 2, 40, "the last line")

    async def flow() -> None:
        async with opened(live(database)) as pilot:
            await press(pilot, "3")
            assert "the last line" in text_of(pilot.app), "Failures has the last lines of its latest example"
            await press(pilot, "L")
            text = text_of(pilot.app)
            for said in ("opened ␛[2J[red]file[/]", "row 41,203", "of 90,000", "38 lines left out", "the last line"):
                assert said in text
            assert "of the first attempt" not in text
            await press(pilot, "left")
            assert "of the first attempt" in text_of(pilot.app)

    run(flow)
    assert store.rows("SELECT FROM jobq.follows") == [], "nobody follows what has ended"


@pytest.mark.parametrize("is_read_only", [False, True])
def test_what_runs_under_the_cursor_is_followed(store: Any, database: Database, is_read_only: bool) -> None:
    worker = store.worker()
    job = store.add()
    store.claim(worker)
    say(store, job, 1, 0, "begun")

    async def flow() -> None:
        async with opened(live(database, is_read_only=is_read_only)) as pilot:
            await press(pilot, "2", "right", "right", "L")
            assert "begun" in text_of(pilot.app)
            say(store, job, 1, 1, "going on")
            while "going on" not in text_of(pilot.app):  # what took long is not asked at each look
                await look(pilot)
            assert "begun" in text_of(pilot.app)
            followed = [row.job_id for row in store.rows("SELECT job_id FROM jobq.follows")]
            assert followed == ([] if is_read_only else [job]), "a console that may not write asks for nothing"

    run(flow)


def test_a_job_that_said_nothing_says_so(store: Any, database: Database, report: Callable[..., Any]) -> None:
    worker = store.worker()
    store.add()
    store.finish(worker, *(report(one, "errored", error_type="ValueError") for one in store.claim(worker)))

    async def flow() -> None:
        async with opened(live(database)) as pilot:
            await press(pilot, "2", *ERRORED, "L")
            assert "no lines are kept" in text_of(pilot.app)

    run(flow)
