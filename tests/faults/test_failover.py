"""The primary is killed and its standby promoted, in small; with workers and many jobs it is
`python -m tests.faults.failover`."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database
from tests.faults.failover import require_standby
from tests.faults.servers import Server, binaries


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    if not (binaries() / "pg_basebackup").exists():
        pytest.skip("there is no pg_basebackup among PostgreSQL's programs")
    folder = Path(tempfile.mkdtemp(prefix="jobq-failover-"))
    folder.chmod(0o755)
    primary, standby = Server(folder, name="first"), Server(folder, name="second")
    try:
        primary.create().start()
        standby.copy(primary).start()
        require_standby(primary)
        yield primary, standby
    finally:
        standby.close()
        primary.close()
        shutil.rmtree(folder)


def test_what_was_acknowledged_is_on_the_standby_and_an_address_with_both_hosts_finds_it(
    servers: tuple[Server, Server],
) -> None:
    primary, standby = servers
    hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"  # the standby first: it is not to be taken
    database = Database(Settings(database_url=f"postgresql://jobq@{hosts}/postgres?connect_timeout=5"))
    add = "SELECT jobq.enqueue('shop.jobs.Work', '{}')"
    try:
        migrations.migrate(database)
        with database.connection() as connection:
            connection.execute(add)
        primary.kill()
        standby.promote()
        with standby.connect() as connection:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")
        with database.connection() as connection:
            connection.execute(add)
            found = connection.execute("SELECT id FROM jobq.jobs ORDER BY id").fetchall()
    finally:
        database.close()
    assert found[0] == (1,)
    assert len(found) == 2
