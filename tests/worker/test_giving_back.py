"""Claimed jobs that are given back, by two who claim."""

from dataclasses import replace

from jobq.settings import Settings
from jobq.store.database import Database
from jobq.worker.supervisor import Supervisor
from tests.conftest import Store


def test_coroutines_are_given_back_by_the_one_that_claims_them(settings: Settings, store: Store) -> None:
    """The answer may be lost, and it is sent again: by then nobody may have claimed them anew for this worker, as
    the same attempt. One thread does the one after the other."""
    supervisor = Supervisor(Database(replace(settings, concurrency=2, max_processes=1)), (), drain=False)
    worker_id = store.worker()
    supervisor.ownership.begin_anew(worker_id)
    job_id = store.add()
    (assignment,) = store.claim(worker_id)
    supervisor.ownership.take(worker_id, [assignment])
    supervisor.coroutine_stock.append(assignment)

    supervisor._give_back_stock()

    supervisor.claimer.tick(store.connection)
    assert store.job(job_id).state == "running"
    supervisor.coroutine_claimer.tick(store.connection)
    assert (store.job(job_id).state, store.job(job_id).attempt) == ("pending", 0)
    assert not supervisor.ownership.held()
    supervisor._selector.close()
