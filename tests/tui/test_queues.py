"""The screen of the queues: what it shows of the one under the cursor, and where it leads."""

from dataclasses import replace
from datetime import timedelta

from canned import CannedSource, trouble
from driving import opened, press, run, text_of
from jobq.tui.samples import TREND, Samples

from jobq.records import Stats

BROAD, NARROW = (200, 50), (80, 24)


def test_a_broad_window_shows_what_waits_what_runs_and_who_works_in_the_queue_under_the_cursor() -> None:
    async def flow() -> None:
        async with opened(CannedSource(trouble()), BROAD) as pilot:
            await press(pilot, "4")
            text = text_of(pilot.app)
            assert "PENDING in default" in text
            assert "#918306" in text, "the longest that runs there"
            assert "4/6 running" in text
            await press(pilot, "G")
            assert "PENDING in reports" in text_of(pilot.app)
            assert "nothing runs" in text_of(pilot.app)

    run(flow)


def test_its_lists_lead_to_the_job_and_the_worker() -> None:
    async def flow() -> None:
        async with opened(CannedSource(trouble()), BROAD) as pilot:
            await press(pilot, "4", "tab", "enter")
            assert type(pilot.app.screen).__name__ == "JobPage"
            await press(pilot, "escape", "tab", "enter")
            assert "processes" in text_of(pilot.app)

    run(flow)


def test_a_narrow_window_keeps_in_out_and_growth() -> None:
    async def flow() -> None:
        async with opened(CannedSource(trouble()), NARROW) as pilot:
            await press(pilot, "4")
            text = text_of(pilot.app)
            assert all(title in text for title in ("IN/MIN", "OUT/MIN", "GROWTH/MIN"))
            assert "PENDING in" not in text

    run(flow)


def test_a_trend_has_as_many_values_as_there_is_room_for_evenly_apart_in_time() -> None:
    stats, _ = trouble()
    samples = Samples()
    for seconds, pending in ((0, 1), (10, 5), (40, 9)):
        samples.add(later(stats, seconds, pending))
    assert samples.totals(5) == [1.0, 5.0, 5.0, 5.0, 9.0]
    samples.add(later(stats, TREND.total_seconds() + 60, 2))
    assert samples.span is not None
    assert samples.span[1] - samples.span[0] == TREND
    assert samples.totals(3) == [9.0, 9.0, 2.0]


def later(stats: Stats, seconds: float, pending: int) -> Stats:
    return replace(stats, at=stats.at + timedelta(seconds=seconds), pending=pending)
