"""A few stories of enqueuers, workers and operators; thousands are told by `python -m tests.faults.model`."""

from faults import model
from jobq.store.database import Database


def test_whatever_is_done_in_whatever_order_every_promise_is_kept(database: Database) -> None:
    model.tell_stories(database, stories=12, steps=50, seed=1)
