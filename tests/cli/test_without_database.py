"""With no database configured, every command works on an embedded PostgreSQL that nobody has to start or migrate."""

import json
from pathlib import Path

import pytest

from conftest import Application, descendants_of

JOBS = """
    from jobq import Job, register_job

    @register_job
    class Add(Job):
        def __init__(self, left: int, right: int):
            self.left, self.right = left, right

        def run(self):
            return self.left + self.right
"""


@pytest.fixture
def laptop(without_database: Application) -> Application:
    without_database.write("jobs.py", JOBS)
    return without_database


def test_a_job_goes_its_whole_way_on_a_laptop_with_nothing_set_up(laptop: Application) -> None:
    enqueued = laptop.jobq("enqueue", "jobs.Add", "2", "3", "--json")
    assert enqueued.returncode == 0, enqueued.stderr
    assert "using an embedded PostgreSQL" in enqueued.stderr
    script = laptop.python("from jobs import Add; Add(4, 5).run_in_worker(); Add(4, 5).run_in_worker()")
    assert script.stderr.splitlines() == [
        f"jobq: no database is configured: jobs go to the embedded PostgreSQL in {laptop.path / '.jobq'}, which "
        "workers elsewhere do not see. To use yours, set JOBQ_DATABASE_URL, or database_url in [tool.jobq] of "
        "pyproject.toml."
    ]
    chosen = laptop.python(
        "import os; os.environ['JOBQ_DATABASE_URL'] = 'embedded'; from jobs import Add; Add(4, 5).run_in_worker()"
    )
    assert chosen.stderr == ""

    worked = laptop.jobq("run", "--drain", "--max-processes", "1")

    assert worked.returncode == 0, worked.stderr
    assert "using an embedded" not in worked.stderr, "said once, at the first use"
    stats = json.loads(laptop.jobq("stats", "--json").stdout)
    assert (stats["outcomes"]["successful"], stats["pending"]) == (4, 0)
    job = json.loads(laptop.jobq("show", str(json.loads(enqueued.stdout)["id"]), "--json").stdout)
    assert [attempt["value"] for attempt in job["attempts"]] == [5]


def test_the_embedded_server_can_be_looked_at_stopped_and_deleted(laptop: Application) -> None:
    assert "running  no" in laptop.jobq("db", "status").stdout
    laptop.jobq("enqueue", "jobs.Add", "2", "3")
    status = json.loads(laptop.jobq("db", "status", "--json").stdout)
    assert status["running"] is True
    assert Path(status["home"]) == laptop.path / ".jobq"

    assert "stopped" in laptop.jobq("db", "stop").stderr
    assert json.loads(laptop.jobq("db", "status", "--json").stdout)["running"] is False
    assert json.loads(laptop.jobq("stats", "--json").stdout)["pending"] == 1, "what was enqueued is still there"

    assert laptop.jobq("db", "reset", input="n\n").returncode == 130
    assert laptop.jobq("db", "reset", "--yes").returncode == 0
    assert list((laptop.path / ".jobq").glob("pg*")) == []


def test_a_worker_outlives_the_client_that_started_the_server(laptop: Application) -> None:
    with laptop.start("run", "--max-processes", "1", "--stats-every", "0") as worker:
        for _ in range(2):
            enqueued = json.loads(laptop.jobq("enqueue", "jobs.Add", "2", "3", "--json").stdout)
            shown = laptop.jobq("show", str(enqueued["id"]), "--json")
            assert shown.returncode == 0, shown.stderr
        assert descendants_of(worker.pid)
        worker.signal(15)
        assert worker.wait() == 0, worker.stderr


def test_an_applications_tables_are_not_made_in_jobqs_schema(laptop: Application) -> None:
    """The role is called jobq, and "$user" comes first in PostgreSQL's own search_path."""
    assert laptop.jobq("migrate").returncode == 0
    schema = laptop.python(
        "import os, psycopg, subprocess, sys\n"
        "url = subprocess.check_output([sys.executable, '-m', 'jobq', 'db', 'url'], text=True).strip()\n"
        "print(psycopg.connect(url).execute('SELECT current_schema()').fetchone()[0])"
    ).stdout
    assert schema == "public\n"
