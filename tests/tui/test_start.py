"""How the console starts: it asks the database while it is loaded, and loads what its first screen needs."""

import subprocess
import sys
from typing import Any

import pytest
from jobq.tui.access import Target
from jobq.tui.live import LiveSource
from jobq.tui.source import FIRST_SECONDS, VIEWS

from jobq.errors import DatabaseUnreachable
from jobq.store import migrations
from jobq.store.database import Database

START = """
import sys
import jobq.cli.tui, jobq.cli.web, jobq.tui.live, jobq.tui.app, jobq.tui.preferences, jobq.tui.screens.overview
assert not jobq.cli.web.is_served()
print(*sys.modules)
"""

LATER = {
    "croniter", "tomlkit", "aiohttp", "opentelemetry", "markdown_it", "pygments", "tree_sitter", "jobq.demo",
    "jobq.runtime", "jobq.tui.web", "jobq.tui.screens.jobs", "jobq.tui.screens.confirm", "textual.drivers.web_driver",
}  # fmt: skip
"""What the first screen does not need."""


def test_what_the_first_screen_does_not_need_is_not_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "textual.app" in loaded
    assert loaded & LATER == set()


@pytest.fixture
def source(database: Database) -> LiveSource:
    target = Target("here", database.schema, "development", is_read_only=False)
    return LiveSource(database, target, lambda: migrations.migrate(database))


def test_the_first_look_is_the_one_that_was_begun_ahead(source: LiveSource, store: Any) -> None:
    store.add(queue="mail")
    source.look_ahead()
    first = source.look(FIRST_SECONDS)
    store.add(queue="mail")
    assert [first.stats.pending, source.look(FIRST_SECONDS).stats.pending] == [1, 2]


def test_a_database_that_cannot_be_reached_ahead_is_told_to_the_first_look(
    source: LiveSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_seconds: float) -> None:
        raise DatabaseUnreachable("db-1 cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(source, "_look", unreachable)
        source.look_ahead()
        with pytest.raises(DatabaseUnreachable, match="db-1"):
            source.look(FIRST_SECONDS)
    assert source.look(FIRST_SECONDS).stats.pending == 0


def test_a_job_that_has_not_changed_is_shown_by_the_same_object(source: LiveSource, store: Any) -> None:
    store.add(queue="mail")
    query = source.query(VIEWS[0], "")
    first, second = (source.jobs(query, limit=10, after=None).jobs for _ in range(2))
    assert first[0] is second[0]
