"""What runs, what has ended, what a silent worker holds, and what stands still: on a real database."""

from collections.abc import Callable
from typing import Any

import pytest
from driving import line_with, look, opened, press, run, text_of
from jobq.tui.access import Target
from jobq.tui.live import LiveSource

from jobq.store.database import Database
from jobq.store.migrations import migrate

RUNNING = ("2", "right", "right")
TRACEBACK = "Traceback (most recent call last):\n  File \"/srv/shop.py\", line 3, in run\nKeyError: 'vat'"


@pytest.fixture
def source(database: Database) -> LiveSource:
    target = Target("here", database.schema, "development", False)
    return LiveSource(database, target, lambda: migrate(database))


def test_what_ended_leaves_the_list_of_what_runs_but_for_the_row_under_the_cursor(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    ids = [store.add(arguments=f'{{"order": "{word}"}}') for word in ("one", "two", "three", "four")]
    worker = store.worker()
    first, second, third, _ = store.claim(worker)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *RUNNING, "j", "j")  # on the second, as the newest is first
            store.finish(worker, report(first), report(second), report(third))
            await look(pilot)
            shown = text_of(pilot.app)
            assert 'order="one"' not in shown
            assert 'order="three"' not in shown
            assert 'order="two"' in shown
            assert f"#{ids[1]} has left this list" in shown
            assert "✓ successful" in line_with(pilot.app, f"#{ids[1]} shop")  # the peek knows its end
            await press(pilot, "k")
            await look(pilot)
            assert 'order="two"' not in text_of(pilot.app)
            assert 'order="four"' in text_of(pilot.app)

    run(flow)


def test_what_a_silent_worker_holds_is_marked_wherever_it_is_shown(source: LiveSource, store: Any) -> None:
    job_id = store.add(arguments='{"order": "one"}')
    store.claim(store.worker())
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '20 min'")

    async def flow() -> None:
        async with opened(source) as pilot:
            assert "◌ here/1" in line_with(pilot.app, f"#{job_id}")
            await press(pilot, *RUNNING)
            assert "◌ worker silent 20m" in line_with(pilot.app, "here/1")
            await press(pilot, "enter")
            assert "◌ worker silent 20m" in line_with(pilot.app, "▶ running  attempt 1, waited")

    run(flow)


def test_a_worker_with_a_part_that_waits_for_the_database_is_marked(source: LiveSource, store: Any) -> None:
    store.worker()
    store.execute("""UPDATE jobq.workers SET status = '{"waiting": {"completer": 45.0}}'""")

    async def flow() -> None:
        async with opened(source) as pilot:
            assert "▲ here/1: completer waits for the database for 45 s" in text_of(pilot.app)
            await press(pilot, "5")
            assert "▲ waiting" in line_with(pilot.app, "here/1")
            assert "completer waits for the database for 45 s" in text_of(pilot.app)

    run(flow)


def test_the_peek_never_shows_the_traceback_of_an_attempt_that_was_made_good(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    job_id, worker = store.add(), store.worker()
    failed = {"error_type": "KeyError", "error_message": "'vat'", "traceback": TRACEBACK, "retry_delay": 0.0}
    store.retry(worker, report(store.claim(worker)[0], "errored", **failed))

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2")
            assert "attempt 1 errored:" in text_of(pilot.app)  # it waits for the next: this was the one before
            assert "KeyError: 'vat'" in text_of(pilot.app)
            store.finish(worker, report(store.claim(worker)[0]))
            await press(pilot, "right", "right", "right")
            assert f"#{job_id}" in text_of(pilot.app)
            assert "KeyError" not in text_of(pilot.app)

    run(flow)


def test_a_frozen_console_reads_nothing_and_does_nothing(source: LiveSource, store: Any) -> None:
    job_id = store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "f")
            store.add()
            await press(pilot, "c")
            assert "frozen: press f first" in text_of(pilot.app)
            await press(pilot, "g", "right")
            assert "frozen: nothing is read until you press f" in text_of(pilot.app)
            await press(pilot, "left", "braceright")
            assert pilot.app.context.period.words == "1h"  # type: ignore[attr-defined]
            await press(pilot, "f")
            assert "2 jobs" in text_of(pilot.app)
            await press(pilot, "f", "enter")
            assert "frozen: nothing is read until you press f" in text_of(pilot.app)
            await press(pilot, "f")
            assert "enqueued" in text_of(pilot.app)

    run(flow)
    assert {job.id for job in store.unfinished()} == {job_id, job_id + 1}


def test_a_childs_job_beyond_the_longest_is_looked_for_before_it_is_called_ended(
    source: LiveSource, store: Any, report: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.tui.live.RUNNING_LIMIT", 1)
    _, second = store.add(), store.add()
    worker = store.worker()
    claimed = store.claim(worker)
    store.execute(
        "UPDATE jobq.workers SET status = jsonb_build_object('children', jsonb_build_array("
        "jsonb_build_object('pid', 7, 'ready', true, 'job', %s::bigint, 'seconds', 2)))",
        second,
    )

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "5")
            assert "shop.jobs.Work" in line_with(pilot.app, f"#{second}")
            store.finish(worker, report(claimed[1]))
            await look(pilot)
            assert "has ended since" in line_with(pilot.app, f"#{second}")

    run(flow)


def test_a_long_traceback_opens_at_its_error_and_is_copied_as_it_is_shown(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    frames = "".join(f'  File "/srv/shop.py", line {line}, in step{line}\n    step({line})\n' for line in range(60))
    traceback = f"Traceback (most recent call last):\n{frames}KeyError: 'vat'"
    store.add()
    worker = store.worker()
    failed = {"error_type": "KeyError", "error_message": "'vat'", "traceback": traceback}
    store.finish(worker, report(store.claim(worker)[0], "errored", **failed))
    copied: list[str] = []

    async def flow() -> None:
        async with opened(source) as pilot:
            pilot.app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
            await press(pilot, "2", *["right"] * 5, "enter")
            evidence = text_of(pilot.app).split("Attempt 1 of 1")[1]
            assert "KeyError: 'vat'" in evidence
            assert "step0" not in evidence
            await press(pilot, "y", "y")
            await press(pilot, "g")
            assert "in step0" in text_of(pilot.app)

    run(flow)
    assert copied == [traceback]


def test_the_charts_say_of_which_time_they_are_at_every_range(source: LiveSource, store: Any) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            for _ in range(5):
                period = pilot.app.context.state.snapshot.period  # type: ignore[attr-defined]
                axis = line_with(pilot.app, f"{period.until:%H:%M}  ")
                assert axis.count(f"{period.until:%H:%M}") >= 2  # of both charts
                await press(pilot, "braceright")

    run(flow)
