"""A real disk that is full: each service says so once, nothing is lost, and work goes on when there is room again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq.errors import DatabaseBusy
from jobq.settings import Settings
from jobq.store import enqueueing
from jobq.store.database import Database
from tests.conftest import new_job

if TYPE_CHECKING:
    from tests.conftest import Application, Store

JOBS = """
    from jobq import Job, register_job


    @register_job
    class Greet(Job):
        def run(self):
            return "hello"
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk, in memory, on which the tables of jobs and of their history lie."""

    folder: Path

    def fill(self) -> None:
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as out:
            while out.write(b"\0" * 4096):
                pass

    def make_room(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(connection: "psycopg.Connection[Any]") -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="jobq-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "jobq", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no disk can be mounted here")
    ((data,),) = connection.execute("SHOW data_directory").fetchall()
    owner, space = os.stat(data), folder.name.replace("-", "_")
    os.chown(folder, owner.st_uid, owner.st_gid)
    try:
        connection.execute(f"CREATE TABLESPACE {space} LOCATION '{folder}'".encode())
        move_tables(connection, space)
        yield Disk(folder)
    finally:
        move_tables(connection, "pg_default")
        connection.execute(f"DROP TABLESPACE {space}".encode())
        subprocess.run(["umount", folder], check=True)
        shutil.rmtree(folder)


def move_tables(connection: "psycopg.Connection[Any]", space: str) -> None:
    """Jobs, and their history: a claim changes a row on its page, and needs no room on the disk."""
    history = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'jobq.results'::regclass"
    for table in ("jobq.jobs", *(name for (name,) in connection.execute(history).fetchall())):
        connection.execute(f"ALTER TABLE {table} SET TABLESPACE {space}".encode())


def test_a_program_that_enqueues_is_told_of_the_full_disk(disk: Disk, settings: Settings) -> None:
    with closing(Database(settings)) as database:
        disk.fill()
        with pytest.raises(DatabaseBusy, match=r"has no space left on its disk .* Make room"):
            enqueue_without_end(database)
        disk.make_room()
        with database.connection(changes=True) as own:
            assert enqueueing.enqueue(own, "jobq", new_job()) is not None


def enqueue_without_end(database: Database) -> None:
    while True:
        with database.connection(changes=True) as own:
            enqueueing.enqueue_many(own, "jobq", [new_job()] * 100)


def test_a_worker_says_once_that_the_disk_is_full_and_goes_on_when_there_is_room(
    disk: Disk, application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    application.write("jobs.py", JOBS)
    ids = store.add_many(*[{"job_class": "jobs.Greet"}] * 500)
    with application.start("run", "--max-processes", "1") as worker:
        eventually(store.results)
        disk.fill()
        with suppress(psycopg.errors.DiskFull):
            while True:
                ids += store.add_many(*[{"job_class": "jobs.Greet"}] * 50)
        eventually(lambda: "database disk full" in worker.stderr)
        disk.make_room()
        eventually(lambda: len(store.results()) == len(ids))
        lines = [line for line in worker.stderr.splitlines() if "database disk full" in line]
        services = {line.partition("service=")[2].partition(":")[0] for line in lines}
        assert len(lines) == len(services), worker.stderr
        assert "the address (" not in worker.stderr
    assert {result.outcome for result in store.results()} == {"successful"}
