"""Large arguments are loaded apart, and no more of them than one process should hold."""

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from jobq.records import Report
from jobq.runtime import preparer as preparing
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.settings import Settings
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Store

Eventually = Callable[..., Any]


class Worker:
    def __init__(self, settings: Settings, store: "Store") -> None:
        self.store = store
        self.id = store.worker()
        self.ownership = Ownership(self.id)
        self.reports: list[Report] = []
        self.preparer = Preparer(
            Database(settings), self.ownership, on_prepared=lambda: None, on_impossible=self.reports.extend
        )

    def claim(self) -> list[Any]:
        claimed = self.store.claim(self.id)
        self.ownership.take(self.id, claimed)
        return claimed


@pytest.fixture
def worker(settings: Settings, store: "Store") -> Iterator[Worker]:
    worker = Worker(settings, store)
    yield worker
    worker.preparer.stop(10)
    worker.preparer.database.close()


def large(size: int = 60_000) -> str:
    """Arguments that compression does not make small."""
    return f'{{"value": "{random.Random(1).randbytes(size // 2).hex()}"}}'


def test_no_more_large_arguments_are_loaded_than_may_be_held_and_the_rest_when_some_have_ended(
    worker: Worker, store: "Store", monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(preparing, "MAX_LOADED_BYTES", 100_000)
    jobs = [store.add(arguments=large()) for _ in range(3)]
    claimed = worker.claim()
    assert [one.arguments for one in claimed] == ["", "", ""]
    worker.preparer.add(claimed)
    loaded: list[Any] = []

    def has_loaded(count: int) -> bool:
        loaded.extend(worker.preparer.take())
        return len(loaded) == count

    eventually(lambda: has_loaded(2))
    assert [(one.id, one.arguments) for one in loaded] == [(job, large()) for job in jobs[:2]]
    assert worker.preparer.held == 1
    worker.ownership.accounted([(jobs[0], 1), (jobs[1], 1)])
    worker.preparer.recorded()
    eventually(lambda: has_loaded(3))


def test_arguments_that_nobody_can_read_end_their_job_and_no_other(
    worker: Worker, store: "Store", eventually: Eventually
) -> None:
    store.execute(
        "INSERT INTO jobq.jobs (job_class, arguments) SELECT 'shop.jobs.Work', jsonb_build_object("
        "'value', (SELECT jsonb_agg(1e131071::numeric) FROM generate_series(1, 9000)))"
    )
    beside = store.add(arguments=large())
    claimed = worker.claim()
    worker.preparer.add(claimed)
    eventually(lambda: worker.reports and worker.preparer.take())
    (report,) = worker.reports
    assert (report.id, report.outcome, report.started) == (claimed[0].id, "errored", None)
    assert report.id != beside


def test_what_is_not_loaded_yet_can_be_taken_back(worker: Worker, store: "Store") -> None:
    store.add(arguments=large())
    claimed = worker.claim()
    worker.preparer._is_started = True  # its thread is not: nothing is loaded
    worker.preparer.add(claimed)
    assert worker.preparer.withdraw((claimed[0].id, 2)) == []
    assert worker.preparer.withdraw() == claimed
    assert worker.preparer.held == 0
