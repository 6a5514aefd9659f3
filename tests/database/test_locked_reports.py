"""A job whose row somebody holds keeps no other report from being recorded, also where sessions are shared."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from conftest import Store
from jobq.records import Report
from jobq.runtime.completer import Completer
from jobq.runtime.ownership import Ownership
from jobq.settings import Settings
from jobq.store.database import Database


def nothing() -> None:
    return


@pytest.mark.parametrize("has_pooler", [False, True])
def test_reports_of_other_jobs_are_recorded_while_one_row_is_held(
    settings: Settings, store: Store, report: Callable[..., Report], *, has_pooler: bool
) -> None:
    ids = [store.add(), store.add()]
    worker = store.worker()
    reports = [report(job) for job in store.claim(worker)]
    database = Database(replace(settings, transaction_pooler=has_pooler))
    completer = Completer(database, Ownership(worker), on_recorded=nothing, on_disowned=nothing)
    with store.connection.transaction():
        store.execute("SELECT FROM jobq.jobs WHERE id = %s FOR UPDATE", ids[0])
        completer.add(reports)
        completer.tick(completer._connect())
        with store.another() as other:
            assert [result.id for result in other.results()] == [ids[1]]
        assert completer.backlog == 1
    completer.stop()
    completer._disconnect()
