"""Acts in the console: on what was seen, for a reason, and undone only where that is possible."""

from dataclasses import replace
from typing import Any

import pytest
from canned import CannedSource, calm, trouble
from driving import look, opened, press, run, text_of, type_text
from jobq.tui.acting import result_words
from jobq.tui.live import LiveSource
from jobq.tui.preferences import Preferences
from jobq.tui.source import NamedReport, Report, Target
from jobq.tui.troubles import Place
from jobq.tui.undoing import offer

from jobq import observe, operate
from jobq.errors import ActNotUndone
from jobq.records import QueueStats
from jobq.states import Outcome
from jobq.store.database import Database

ERRORED = Place("jobs", "errored")


@pytest.fixture
def source(database: Database) -> LiveSource:
    return LiveSource(database, Target("db-1", "jobq", "development", is_read_only=False), lambda: None)


@pytest.fixture
def failing(store: Any, report: Any) -> Any:
    """Has jobs fail: a new one, or those that wait."""
    worker = store.worker()

    def fail() -> int:
        waiting = [job.id for job in store.unfinished()] or [store.add(queue="failing")]
        claimed = store.claim(worker, ["failing"], most=len(waiting))
        store.finish(worker, *[report(one, Outcome.ERRORED, error_type="E") for one in claimed])
        return int(claimed[0].id)

    return fail


# On what was seen


def test_a_retry_that_is_pressed_in_two_consoles_runs_once(
    source: LiveSource, store: Any, failing: Any, database: Database
) -> None:
    job = failing()

    async def flow() -> None:
        async with opened(source, place=ERRORED) as first, opened(source, place=ERRORED) as second:
            await press(first, "r")
            assert f"retried #{job}" in text_of(first.app)
            failing()
            await press(second, "r")
            assert "Retried 0 jobs, left 1 alone" in text_of(second.app)
            assert "retried it at" in text_of(second.app)
            assert "attempt 2 ended as errored" in text_of(second.app)
            await press(second, "enter")
            await look(second)
            await press(second, "r")
            assert f"retried #{job}" in text_of(second.app), "now it is the attempt that is shown"

    run(flow)
    assert observe.show(database, job).job.attempt == 2
    assert len(observe.audit(database)) == 2


def test_a_set_that_was_counted_does_not_grow_until_yes(source: LiveSource, store: Any, failing: Any) -> None:
    first, second = failing(), failing()

    async def flow() -> None:
        async with opened(source, place=ERRORED) as pilot:
            await press(pilot, "asterisk", "r")
            assert "Retry 2 jobs" in text_of(pilot.app)
            failing()
            await press(pilot, "y")

    run(flow)
    assert sorted(job.id for job in store.unfinished()) == [first, second]


# Undone only where that is possible


def test_an_undo_is_offered_for_what_was_done_and_no_more() -> None:
    assert offer(Report("retry", (1,), {}, undoable=1), "u") == "   u undoes it until it has started, for a minute"
    assert "those that have not started" in offer(Report("retry", (1, 2), {}, undoable=2), "u")
    both = Report("cancel", (1, 2), {}, asked=(3,), undoable=2)
    assert result_words(both, "cancelled") + offer(both, "u") == (
        "cancelled #1, #2, asked 1 running job to end   u undoes the 2 jobs that waited, for a minute"
    )
    assert offer(Report("cancel", (), {}, asked=(3,)), "u") == ""
    assert offer(Report("undo retry", (1,), {}), "u") == ""
    assert offer(NamedReport("resumed", ("mail",), {}, {}, undoable=1), "u") == "   u undoes it, for a minute"
    assert offer(NamedReport("enqueued", ("hourly",), {}, {"hourly": 4}), "u") == ""


def test_no_undo_is_offered_after_a_running_job_was_asked_to_end(source: LiveSource, store: Any) -> None:
    job = store.add()
    store.claim(store.worker())

    async def flow() -> None:
        async with opened(source, place=Place("jobs", "running")) as pilot:
            await press(pilot, "c")
            assert "undo    none: running jobs" in text_of(pilot.app)
            await press(pilot, "y")
            assert "asked 1 running job to end" in text_of(pilot.app)
            assert "undoes" not in text_of(pilot.app)
            await press(pilot, "z")
            assert "undo: cancel: running jobs" in text_of(pilot.app)

    run(flow)
    with pytest.raises(ActNotUndone, match="asked to end are not given back"):
        operate.undo(source._database)
    assert store.job(job) is not None


def test_the_key_of_undo_goes_when_the_retried_job_has_started(source: LiveSource, store: Any, failing: Any) -> None:
    failing()

    async def flow() -> None:
        async with opened(source, place=Place("queues"), preferences=Preferences(keys={"undo": "u"})) as pilot:
            assert "u undo" not in foot(pilot)
            await press(pilot, "2", "right", "right", "right", "right", "right")
            await press(pilot, "r")
            assert "u undoes it until it has started" in text_of(pilot.app)
            await press(pilot, "4")
            assert "u undo" in foot(pilot)
            failing()
            await look(pilot)
            assert "u undo" not in foot(pilot)
            await press(pilot, "u")
            assert "undo: retry: its jobs have started since" in text_of(pilot.app)
            await press(pilot, "7")
            assert "u undoes it" not in text_of(pilot.app).splitlines()[4]

    run(flow)


def foot(pilot: Any) -> str:
    return text_of(pilot.app).splitlines()[-1]


# For a reason


def test_a_queue_is_paused_for_a_reason_and_resumed_and_paused_again_as_it_was(
    source: LiveSource, store: Any, database: Database
) -> None:
    store.add(queue="mail")

    def queue() -> QueueStats:
        found = next(one for one in observe.stats(database).queues if one.name == "mail")
        return replace(found, oldest_seconds=None)

    async def flow() -> None:
        async with opened(source, place=Place("queues")) as pilot:
            await press(pilot, "p")
            assert "Pause mail" in text_of(pilot.app)
            await type_text(pilot, "provider is down")
            await press(pilot, "enter")
            assert "paused mail   z undoes it, for a minute" in text_of(pilot.app)
            paused = queue()
            assert (paused.paused, paused.pause_reason) == (True, "provider is down")
            await press(pilot, "p")
            assert "Resume mail" in text_of(pilot.app)
            assert "provider is down" in text_of(pilot.app)
            assert queue().paused, "nothing is done before the yes"
            await press(pilot, "y")
            assert not queue().paused
            await press(pilot, "z")
            assert queue() == paused, "since then, by whom, and why"
            await press(pilot, "7")
            assert "mail: provider is down" in text_of(pilot.app)

    run(flow)
    (reason, *_) = observe.why(database, store.unfinished()[0].id).reasons
    assert reason.text.endswith(": provider is down")


def test_a_paused_queue_that_needs_somebody_is_resumed_from_its_line() -> None:
    source = CannedSource(trouble())

    async def flow() -> None:
        async with opened(source) as pilot:
            assert "pause" not in foot(pilot), "the cursor is on a worker"
            await press(pilot, "end", "p")
            assert "Resume reports" in text_of(pilot.app)
            assert source.named == []
            await press(pilot, "y")

    run(flow)
    assert [(verb, names) for verb, names, _ in source.named] == [("resume", ("reports",))]


def test_what_was_paused_again_since_is_not_touched_by_an_undo(store: Any, database: Database) -> None:
    operate.pause_queues(database, ["mail"], reason="first")
    operate.resume_queues(database, ["mail"])
    act = observe.audit(database)[0].id
    operate.pause_queues(database, ["mail"], reason="second")
    assert operate.remaining(database)[act] == 0
    _, acted = operate.undo(database, act)
    assert acted.act is None
    (queue,) = [one for one in observe.stats(database).queues if one.name == "mail"]
    assert queue.pause_reason == "second"


def test_a_pause_on_production_takes_a_reason_and_the_number() -> None:
    source = CannedSource(calm(), Target("db-1", "jobq", "production", is_read_only=False))
    source.access.open()

    async def flow() -> None:
        async with opened(source, place=Place("queues")) as pilot:
            await press(pilot, "p")
            await type_text(pilot, "deploy")
            await press(pilot, "enter")
            assert source.named == []
            await type_text(pilot, "1")
            await press(pilot, "enter")

    run(flow)
    assert source.named == [("pause", (source.stats.queues[0].name,), "deploy")]


def test_a_reason_is_not_asked_for_where_none_is_kept() -> None:
    source = CannedSource(trouble())

    async def flow() -> None:
        async with opened(source, place=ERRORED) as pilot:
            await press(pilot, "D")
            assert "reason" not in text_of(pilot.app)

    run(flow)
