"""The list of jobs and its marks, without a screen: what is asked, which answers count, and what an act is on."""

from collections.abc import Callable
from typing import Any

import pytest
from canned import CannedSource, trouble
from jobq.tui.job_list import JobList
from jobq.tui.marks import Marks
from jobq.tui.source import VIEW_BY_NAME, VIEWS, JobPage

from jobq.observe import Position


class Desk:
    """A list on a canned source, and the questions that were not answered yet."""

    def __init__(self) -> None:
        self.source = CannedSource(trouble())
        self.is_at_top = True
        self.open: list[tuple[str, Callable[[Any], Any]]] = []
        self.jobs = JobList(self.ask, lambda: self.is_at_top)

    def ask(self, name: str, question: Callable[[Any], Any], *, is_again: bool = False) -> None:
        self.open.append((name, question))

    def show(self, view: str, text: str = "") -> None:
        self.jobs.show(self.source.query(VIEW_BY_NAME[view], text))
        self.jobs.want(0, 20)

    def answer(self) -> list[bool]:
        """Answers what is open; returns which answers counted."""
        asked, self.open = self.open, []
        return [self.jobs.take(name, question(self.source)) for name, question in asked]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_answer_to_a_list_that_was_left_is_void(desk: Desk) -> None:
    desk.show("pending")
    desk.show("errored")
    assert desk.answer() == [False, True]
    assert {job.outcome for job in desk.jobs.window.rows} == {"errored"}


def test_a_page_on_its_way_is_not_asked_for_again(desk: Desk) -> None:
    desk.show("pending")
    desk.jobs.want(0, 20)
    assert [name for name, _ in desk.open] == ["page"]
    assert desk.answer() == [True]
    assert desk.jobs.window.rows


def test_new_rows_are_let_in_at_the_top_only(desk: Desk) -> None:
    desk.show("errored")
    desk.answer()
    for is_at_top, expected in ((True, "follow"), (False, "again")):
        desk.is_at_top = is_at_top
        desk.jobs.look_again(desk.jobs.window.rows[:5], 0, 20)
        assert [name for name, _ in desk.open] == [expected]
        assert desk.answer() == [True]


def test_a_sorted_list_lets_nothing_in(desk: Desk) -> None:
    desk.show("errored")
    desk.answer()
    desk.jobs.sort_by(("ID", False), "id")
    desk.jobs.want(0, 20)
    desk.answer()
    assert not desk.jobs.is_following
    ids = [job.id for job in desk.jobs.rows()]
    assert ids == sorted(ids)
    left, *others = desk.jobs.rows()[:3]
    desk.source.all.remove(next(job for job in desk.source.all if job.id == left.id))
    desk.jobs.look_again([left, *others], 0, 20)
    assert [name for name, _ in desk.open] == ["among"]
    assert desk.answer() == [True]
    assert [desk.jobs.window.is_gone(job.id) for job in (left, *others)] == [True, False, False]
    assert [job.id for job in desk.jobs.rows()] == ids


def test_the_lists_follow_each_other_in_a_ring(desk: Desk) -> None:
    desk.show("pending", "queue:mail")
    assert desk.jobs.beside(-1, VIEWS) is VIEWS[-1]
    desk.show("scheduled")
    assert desk.jobs.beside(-1, VIEWS) is VIEW_BY_NAME["gated"]
    assert desk.jobs.beside(1, VIEWS) is VIEW_BY_NAME["running"]


def test_a_search_looks_on_by_itself_up_to_a_limit_and_further_when_somebody_asks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look goes through 20 jobs; there are 462 that have not ended."""
    monkeypatch.setattr("jobq.tui.job_list.LOOK_ON", 60)
    desk.source.look_size = 20
    desk.show("pending", "zzz")
    while desk.open:
        desk.answer()
        desk.jobs.want(0, 20)
    assert (desk.jobs.window.looked, desk.jobs.is_partial) == (60, True)
    assert not desk.jobs.is_following
    for _ in range(30):
        desk.jobs.look_on()
        desk.jobs.want(0, 20)
        desk.answer()
    assert desk.jobs.window.is_complete
    assert not desk.jobs.is_partial


def test_a_job_below_what_a_look_reached_is_not_taken_for_gone(desk: Desk) -> None:
    desk.show("errored")
    desk.answer()
    (first, *_) = desk.jobs.window.rows
    desk.jobs.window.refresh(0, JobPage((), Position(first.id + 1, first.ended_at), looked=20))
    assert not desk.jobs.window.is_gone(first.id)
    desk.jobs.window.refresh(0, JobPage((), None))
    assert desk.jobs.window.is_gone(first.id)


def test_a_refusal_is_shown_where_there_are_no_rows_and_asked_again_at_the_next_look(desk: Desk) -> None:
    desk.show("pending")
    desk.open.clear()
    assert desk.jobs.refuse("it takes too long")
    assert desk.jobs.problem == "it takes too long"
    desk.jobs.look_again([], 0, 20)
    assert desk.answer() == [True]
    assert not desk.jobs.refuse("once more")


def test_an_act_is_on_the_marked_jobs_in_the_order_of_the_list(desk: Desk) -> None:
    desk.show("errored")
    desk.answer()
    loaded, marks = desk.jobs.window.rows, Marks()
    first, second, third = (job.id for job in loaded[:3])
    marks.toggle(third)
    marks.toggle(first)
    marks.toggle(10**9)  # of another filter
    scope = marks.scope(desk.jobs.query, loaded, loaded[:5], loaded[4])
    assert scope.ids == (10**9, first, third)
    assert [job.id for job in scope.jobs] == [first, third]
    assert marks.away_from(loaded) == 1
    marks.forget([first])
    assert marks.ids == {third, 10**9}
    assert second not in marks.ids


def test_a_range_goes_from_the_last_mark_to_the_cursor() -> None:
    marks = Marks()
    marks.toggle(3)
    marks.add_range([5, 4, 3, 2, 1], 5)
    assert marks.ids == {5, 4, 3}


def test_without_a_mark_an_act_is_on_the_job_under_the_cursor_or_on_all_that_match(desk: Desk) -> None:
    desk.show("errored")
    desk.answer()
    loaded, marks = desk.jobs.window.rows, Marks()
    assert marks.scope(desk.jobs.query, loaded, [], loaded[1]).ids == (loaded[1].id,)
    assert marks.scope(desk.jobs.query, [], [], None).ids == ()
    marks.toggle_all()
    scope = marks.scope(desk.jobs.query, loaded, loaded[:2], loaded[1])
    assert (scope.ids, scope.query, scope.jobs) == ((), desk.jobs.query, tuple(loaded[:2]))
    marks.begin_list()
    assert not marks
