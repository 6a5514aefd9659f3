"""What the console may change: on production for a while, and never more than the database's role may."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from driving import line_with, opened, press, run, text_of, type_text
from jobq.tui.access import WRITE_SECONDS, Access, Target
from jobq.tui.live import LiveSource

from jobq.errors import DatabaseReadOnly
from jobq.observe import Selected
from jobq.store import rights
from jobq.store.database import Database

ERRORED = ["right"] * 5


@pytest.fixture
def job(store: Any, report: Callable[..., Any]) -> int:
    """One that has failed."""
    worker, job = store.worker(), store.add()
    store.finish(worker, *(report(one, "errored") for one in store.claim(worker)))
    return int(job)


def test_production_is_read_only_until_its_name_is_typed_and_again_after_half_an_hour(
    database: Database, store: Any, job: int
) -> None:
    now = [1000.0]
    target = Target("app@db-1/shop", "jobq", "production", is_read_only=False)
    source = LiveSource(database, target, lambda: None)
    source.access = Access(target, lambda: now[0])

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "r")
            assert "production is read-only until :write" in line_with(pilot.app, "retry:")
            await press(pilot, "colon")
            await type_text(pilot, "write")
            await press(pilot, "enter")
            await type_text(pilot, "db-1")
            await press(pilot, "enter")
            assert "That is not it" in text_of(pilot.app)
            await type_text(pilot, "app@db-1/shop")
            await press(pilot, "enter")
            assert "write, 30m left" in text_of(pilot.app).splitlines()[0]
            now[0] += WRITE_SECONDS - 30
            pilot.app._tick()  # type: ignore[attr-defined]
            await press(pilot, "r")
            assert "Retry 1 job on PROD" in text_of(pilot.app)
            await press(pilot, "escape")
            assert "write, 30s left" in text_of(pilot.app).splitlines()[0]
            now[0] += 31
            pilot.app._tick()  # type: ignore[attr-defined]
            await press(pilot, "j")
            assert "the 30m are over: this is read-only again" in text_of(pilot.app)
            assert "read-only" in text_of(pilot.app).splitlines()[0]
            await press(pilot, "r")
            assert "Retry 1 job" not in text_of(pilot.app)

    run(flow)
    with pytest.raises(DatabaseReadOnly, match="Production is read-only until :write"):
        source.act("retry", Selected((job,), ()), lambda seen: None, None)
    assert store.unfinished() == []


def test_changes_on_production_are_given_up_when_one_is_done(database: Database) -> None:
    source = LiveSource(database, Target("prod", "jobq", "production", is_read_only=False), lambda: None)

    async def flow() -> None:
        async with opened(source) as pilot:
            for words, typed in (("write", "prod"), ("read-only", None)):
                await press(pilot, "colon")
                await type_text(pilot, words)
                await press(pilot, "enter")
                if typed:
                    await type_text(pilot, typed)
                    await press(pilot, "enter")
                    assert source.access.why_not() is None
            assert "read-only" in text_of(pilot.app).splitlines()[0]

    run(flow)
    assert source.access.why_not() is not None


def test_read_only_stays_on_production_whatever_is_typed(database: Database) -> None:
    source = LiveSource(database, Target("prod", "jobq", "production", is_read_only=True), lambda: None)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "colon")
            await type_text(pilot, "write")
            await press(pilot, "enter")
            assert "off: this console is read-only (--read-only)" in text_of(pilot.app)
            assert "name, esc" not in text_of(pilot.app)

    run(flow)


def test_what_the_role_may_not_do_is_off_with_the_reason_until_it_may(
    database: Database, store: Any, connection: psycopg.Connection[Any], job: int
) -> None:
    role = f"r_{connection.info.dbname[-12:]}"  # so short that what is said of it fits its line
    connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    connection.execute(rights.grants(rights.READER, "jobq", role).encode())
    url = psycopg.conninfo.make_conninfo(database.settings.database_url or "", user=role)
    reading = Database(replace(database.settings, database_url=url))
    source = LiveSource(reading, Target("here", "jobq", "development", is_read_only=False), lambda: None)

    async def flow() -> None:
        async with opened(source, (160, 40)) as pilot:
            await press(pilot, "2", *ERRORED)
            assert "off: r retry" in text_of(pilot.app).splitlines()[-1]
            await press(pilot, "r")
            assert f"role {role} may not INSERT" in line_with(pilot.app, "retry:")
            await press(pilot, "full_stop")
            assert f"off: role {role} may not INSERT" in line_with(pilot.app, " retry ")
            await press(pilot, "escape", "question_mark")
            assert f"off: role {role} may not DELETE" in text_of(pilot.app)
            await press(pilot, "escape", "n")
            assert "Enqueue" not in text_of(pilot.app)
            connection.execute(rights.grants(rights.OPERATOR, "jobq", role).encode())
            source.reset()  # as after a lost connection
            pilot.app.feed.look()  # type: ignore[attr-defined]
            await press(pilot, "g", "r")
            assert f"retried #{job}" in text_of(pilot.app)

    try:
        run(flow)
    finally:
        reading.close()
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())
    assert [row.id for row in store.unfinished()] == [job]
