"""The loaded part of a long list: what it asks for, what it keeps, and what it tells of rows that have gone."""

from typing import Any

import canned
from jobq.tui.source import JobPage
from jobq.tui.window import MOST_PAGES, PAGE, Window

from jobq.observe import Position

JOBS = [canned.a_job(number) for number in range(10_000, 0, -1)]


def page(start: int = 0, jobs: list[Any] | None = None) -> JobPage:
    found = (JOBS if jobs is None else jobs)[start : start + PAGE]
    return JobPage(tuple(found), Position(found[-1].id) if len(found) == PAGE else None)


def loaded(pages: int) -> Window:
    window = Window()
    for number in range(pages):
        window.put(number, page(number * PAGE))
    return window


def test_an_empty_window_wants_the_first_page() -> None:
    assert Window().wanted(0, 30) == 0


def test_the_next_page_is_wanted_before_the_last_row_is_seen() -> None:
    window = loaded(1)
    assert window.wanted(0, 30) is None
    assert window.wanted(PAGE - 60, 30) == 1


def test_pages_at_the_far_end_are_dropped_and_asked_for_again_on_the_way_back() -> None:
    window = loaded(MOST_PAGES + 3)
    assert len(window.rows) == MOST_PAGES * PAGE
    assert window.first == 3
    assert window.wanted(0, 30) == 2
    window.put(2, page(2 * PAGE))
    assert window.first == 2
    assert window.rows[0] is JOBS[2 * PAGE]


def test_the_end_of_the_list_is_known_and_forgotten_with_its_page() -> None:
    window = Window()
    window.put(0, page(jobs=JOBS[:50]))
    assert window.is_complete
    assert window.wanted(40, 30) is None


def test_a_row_that_left_the_list_stays_in_its_place_and_is_told_from_the_others() -> None:
    window = loaded(1)
    window.refresh(0, page(jobs=JOBS[:5] + JOBS[6:]))
    assert [job.id for job in window.rows] == [job.id for job in JOBS[:PAGE]]
    assert window.is_gone(JOBS[5].id)
    assert not window.is_gone(JOBS[6].id)


def test_newer_rows_are_counted_and_not_let_in() -> None:
    window = loaded(1)
    newer = [canned.a_job(20_000 + number) for number in (2, 1)]
    window.refresh(0, page(jobs=newer + JOBS))
    assert window.newer == 2
    assert window.rows[0] is JOBS[0]


def test_rows_pushed_off_a_page_by_newer_ones_have_not_gone() -> None:
    window = loaded(1)
    newer = [canned.a_job(20_000 + number) for number in range(30, 0, -1)]
    window.refresh(0, page(jobs=newer + JOBS))
    assert not any(window.is_gone(job.id) for job in window.rows)


def test_a_job_that_is_on_two_pages_is_one_row() -> None:
    window = loaded(1)
    window.put(1, JobPage((JOBS[PAGE - 1], *JOBS[PAGE : 2 * PAGE]), None))
    ids = [job.id for job in window.rows]
    assert len(ids) == len(set(ids))
