"""docs/operating-poolers.md is true: its commands run behind a real pooler, its words are those of the log."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Application, Store
from jobq.addresses import parse
from jobq.store.explanations import AWAY, CONDITIONS
from jobq.store.sessions import options_of
from pages import docs
from tests.faults.poolers import PROGRAM, pooler

PAGE = docs("operating-poolers")

JOBS = """
    from jobq import Job, register_job


    @register_job
    class Greet(Job):
        def run(self):
            return "hello"
"""


@pytest.fixture
def pool(database_url: str) -> Iterator[str]:
    if PROGRAM is None:
        pytest.skip("needs pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="jobq-pool-"))
    folder.chmod(0o711)
    with pooler(folder, database_url, mode="transaction", size=5) as address:
        yield address
    shutil.rmtree(folder)


def test_the_commands_run_behind_a_pooler(pool: str, application: Application, store: Store) -> None:
    application.write("jobs.py", JOBS)
    store.add(job_class="jobs.Greet")
    export, run = PAGE.commands("Nothing to configure")[:2]
    name, _, value = export[1].partition("=")

    silent = application.jobq(*run[1:], environment={"JOBQ_DATABASE_URL": pool, name: value})
    assert silent.returncode == 0, silent.stderr
    assert "is a pooler" not in silent.stderr
    assert [result.outcome for result in store.results()] == ["successful"]

    (doctor,) = PAGE.commands("Nothing to configure")[2:]
    told = application.jobq(*doctor[1:], environment={"JOBQ_DATABASE_URL": pool})
    (line,) = PAGE.code("Nothing to configure", "text")
    assert told.stderr.splitlines()[0].endswith(line.strip().partition(" is a pooler")[2])
    assert "found by itself" in told.stdout


def test_a_connection_of_ones_own_enqueues_through_the_pooler(
    pool: str, application: Application, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    application.write("jobs.py", JOBS)
    monkeypatch.setenv("POOL", pool)
    (program,) = PAGE.code("Your own connection")
    application.python(program)
    assert [job.job_class for job in store.unfinished()] == ["jobs.Greet"]


def test_the_addresses_say_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGOPTIONS", raising=False)
    (server,) = PAGE.code("Give workers the server itself", "sh")
    (options,) = PAGE.code("How a pooler is recognised", "sh")
    assert parse(address_in(server))["port"] == "5432"
    assert options_of(address_in(options)) == "-c work_mem=8MB"


def address_in(export: str) -> str:
    return export.strip().partition("=")[2].strip('"')


def test_the_page_names_every_condition_of_the_log() -> None:
    named = re.findall(r"^\| `database ([^`]+)` \|", PAGE.text, re.M)
    known = {re.sub(r"\(.*\)", "(…)", condition.name) for condition in (AWAY, *CONDITIONS)}
    assert len(named) == len(set(named))
    assert set(named) == known
