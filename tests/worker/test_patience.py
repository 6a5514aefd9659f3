"""Who declares whom dead, and when: the silence of a worker may be the database's."""

import pytest

from jobq.runtime import maintenance
from jobq.runtime.maintenance import NEWCOMER_SECONDS, Maintenance
from jobq.settings import Settings
from jobq.store.database import Database
from tests.conftest import Store


class Clock:
    """The worker's own, which the test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_the_database_was_away_every_worker_has_its_time_to_report(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover or a recovery of two minutes: whoever comes back first must not take the others for dead."""
    clock = Clock()
    monkeypatch.setattr(maintenance, "monotonic", clock)
    # A server that is younger than the limit declares nobody dead; the test's may have been started just now.
    store.execute(
        "CREATE FUNCTION jobq.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql AS "
        "$$ SELECT '2000-01-01'::timestamptz $$"
    )
    store.execute("SET search_path = jobq, pg_catalog")
    maintain = Maintenance(Database(settings), on_owed_hooks=lambda: None)
    job_id = store.add()
    silent = store.worker()
    store.claim(silent)
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '2 minutes'")

    def tick(seconds: float) -> str:
        """Whose the job is, after so long."""
        clock.now += seconds
        maintain.looked(True)
        maintain.tick(store.connection)
        return str(store.job(job_id).state)

    assert tick(0) == "running"  # a newcomer knows nothing of what was before
    assert tick(NEWCOMER_SECONDS - 1) == "running"
    assert tick(settings.heartbeat_timeout) == "running"  # the database was away: this worker was out of touch
    for _ in range(5):
        assert tick(settings.heartbeat_every) == "running"
    assert tick(settings.heartbeat_every) == "pending"
    assert [row.outcome for row in store.results(job_id)] == ["lost"]
