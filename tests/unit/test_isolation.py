"""Suspected jobs run alone, one step after the other; nothing of this waits."""

from typing import Any, cast

import pytest

from jobq.records import Assignment
from jobq.runtime import isolation
from jobq.runtime.dispatcher import Dispatcher
from jobq.runtime.isolation import Isolation
from jobq.runtime.ownership import Ownership


class Process:
    """A child as the isolation sees it."""

    def __init__(self) -> None:
        self.is_reserved = False
        self.is_open = True
        self.jobs: list[Assignment] = []

    @property
    def is_at_work(self) -> bool:
        return bool(self.jobs)


class Processes:
    """The dispatcher as the isolation sees it."""

    def __init__(self, count: int) -> None:
        self.all = [Process() for _ in range(count)]

    def reserve(self, *, keep_one: bool) -> Process | None:
        free = [process for process in self.all if process.is_open and not process.is_reserved]
        free = free[1:] if keep_one and len(self.all) > 1 else free
        for process in free[:1]:
            process.is_reserved = True
        return free[0] if free else None

    def is_usable(self, process: Process) -> bool:
        return process.is_open

    def send_alone(self, process: Process, suspect: Assignment, *, is_coroutine: bool) -> bool:
        if process.is_open:
            process.jobs.append(suspect)
        return process.is_open


class Scene:
    def __init__(self, processes: int = 1) -> None:
        self.pool = Processes(processes)
        self.ownership = Ownership(1)
        self.asked: list[Assignment] = []
        self.isolation = Isolation(
            cast("Dispatcher", self.pool), self.ownership, self.asked.extend, lambda _: False, max_losses=3
        )

    def claim(self, *ids: int, losses: int = 0) -> list[Assignment]:
        suspects = [Assignment(job_id, 1, 0, losses, 0, 0, 0, "q", "c", "{}", suspected=True) for job_id in ids]
        self.ownership.take(1, suspects)
        self.isolation.add(suspects)
        return suspects

    def begin_asked(self) -> None:
        self.isolation.turn()
        asked, self.asked[:] = list(self.asked), []
        self.isolation.begun(asked)

    def running(self) -> list[list[int]]:
        return [[job.id for job in process.jobs] for process in self.pool.all]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_suspect_is_sent_when_its_process_is_empty_and_its_begin_is_committed(scene: Scene) -> None:
    (process,) = scene.pool.all
    process.jobs = [Assignment(9, 1, 0, 0, 0, 0, 0, "q", "c", "{}")]
    scene.claim(1)
    scene.begin_asked()
    assert (process.is_reserved, scene.running()) == (True, [[9]])
    process.jobs.clear()
    scene.isolation.turn()
    assert scene.running() == [[]], "not before the database has said so"
    scene.isolation.begun(scene.asked)
    assert scene.running() == [[1]]


def test_the_next_suspect_begins_when_the_end_of_the_last_is_recorded() -> None:
    scene = Scene(processes=2)
    scene.claim(1)
    scene.begin_asked()
    scene.claim(2)
    scene.pool.all[0].jobs.clear()
    scene.begin_asked()
    assert scene.running() == [[], []]
    scene.ownership.accounted([(1, 1)])
    scene.begin_asked()
    assert [2] in scene.running()


def test_while_ordinary_jobs_wait_one_of_several_processes_is_left_to_them() -> None:
    scene = Scene(processes=2)
    scene.claim(1, 2)
    scene.isolation.turn(keep_one=True)
    assert [process.is_reserved for process in scene.pool.all].count(True) == 1
    scene.isolation.turn()
    assert [process.is_reserved for process in scene.pool.all] == [True, True]


def test_a_suspect_that_came_back_unbegun_is_sent_again(scene: Scene) -> None:
    (suspect,) = scene.claim(1)
    scene.begin_asked()
    scene.pool.all[0].jobs.clear()
    scene.isolation.add([suspect])
    scene.begin_asked()
    assert scene.running() == [[1]]


def test_a_suspect_whose_process_takes_no_more_jobs_goes_to_another(scene: Scene) -> None:
    scene.claim(1)
    scene.isolation.turn()
    scene.pool.all[0].is_open = False
    scene.isolation.begun(scene.asked)
    scene.pool.all.append(Process())
    scene.asked.clear()
    scene.begin_asked()
    assert scene.running() == [[], [1]]


def test_suspects_can_be_taken_back_until_they_are_sent(scene: Scene) -> None:
    scene.claim(1, 2, 3)
    scene.isolation.turn()
    taken = scene.isolation.withdraw(1, 1)
    assert taken is not None
    assert taken.id == 1
    assert scene.isolation.withdraw(7, 1) is None
    assert [suspect.id for suspect in scene.isolation.withdraw_all()] == [2, 3]
    assert (len(scene.isolation), scene.pool.all[0].is_reserved) == (0, False)
    scene.isolation.begun(scene.asked)
    assert scene.running() == [[]], "its begin was committed too late"


def test_suspects_for_which_no_process_comes_free_are_stuck_after_a_while(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(isolation, "monotonic", lambda: now)
    busy: Any = object()
    scene.pool.all[0].jobs = [busy]
    scene.claim(1)
    scene.isolation.turn()
    assert not scene.isolation.is_stuck
    now = 1.0
    assert scene.isolation.is_stuck


def test_suspects_run_side_by_side_and_one_with_a_last_chance_alone() -> None:
    scene = Scene(processes=3)
    scene.claim(1, 2)
    scene.claim(3, losses=2)
    scene.begin_asked()
    scene.begin_asked()
    assert scene.running() == [[1], [2], []]
    for process in scene.pool.all[:2]:
        ended = process.jobs.pop()
        scene.ownership.accounted([(ended.id, ended.attempt)])
    scene.claim(4)
    scene.begin_asked()
    scene.begin_asked()
    assert sorted(job for jobs in scene.running() for job in jobs) in ([3], [4]), "one of them, not both"


def test_beside_a_last_chance_no_suspect_begins() -> None:
    scene = Scene(processes=2)
    scene.claim(1, losses=2)
    scene.begin_asked()
    scene.claim(2)
    scene.begin_asked()
    assert sorted(scene.running()) == [[], [1]]
    process = next(process for process in scene.pool.all if process.jobs)
    process.jobs.clear()
    scene.ownership.accounted([(1, 1)])
    scene.begin_asked()
    assert [2] in scene.running()
