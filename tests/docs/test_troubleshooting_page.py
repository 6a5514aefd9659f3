"""docs/troubleshooting.md: each of the ten problems is made, and its message is the one that the page explains."""

import http.server
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pages import ROOT, docs

if TYPE_CHECKING:
    from conftest import Application, Store
    from jobq.testing import Databases

PAGE = docs("troubleshooting")

JOBS = """
from jobq import Job, register_job

@register_job
class Greet(Job):
    def __init__(self, name: str = "you"):
        self.name = name

    def run(self): ...

class Forgotten(Job):
    def run(self): ...
"""


@pytest.fixture
def project(application: "Application") -> "Application":
    application.write("jobs.py", JOBS)
    return application


def explained(message: str) -> str:
    """The remedy of the row whose first column has a text that is in the message; `…` stands for anything."""
    for row in PAGE.text.splitlines():
        cells = row.split(" | ")
        for shown in re.findall(r"`([^`]+)`", cells[0]) if row.startswith("| ") else []:
            pattern = ".*".join(re.escape(part) for part in shown.split("…"))
            if re.search(pattern, message, re.S):
                return cells[-1]
    raise AssertionError(f"the page does not explain: {message}")


def failed(project: "Application", *words: str) -> str:
    finished = project.jobq(*words)
    assert finished.returncode != 0
    assert "jobq/" not in finished.stderr, "a traceback of jobq's own"
    return finished.stderr


def test_the_wrong_folder_is_named(application: "Application") -> None:
    assert "--app" in explained(failed(application, "enqueue", "jobs.Greet", "you"))


def test_a_class_without_its_decorator_is_told_from_one_that_is_not_there(project: "Application") -> None:
    assert "@register_job" in explained(failed(project, "enqueue", "jobs.Forgotten"))
    assert "Registered are: jobs.Greet" in failed(project, "enqueue", "jobs.Missing")


@pytest.fixture
def empty_database(databases: "Databases") -> Iterator[str]:
    """A database without jobq's tables."""
    with databases.new() as settings:
        assert settings.database_url is not None
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA jobq CASCADE")
        yield settings.database_url


@pytest.mark.parametrize("command", [["enqueue", "jobs.Greet"], ["run", "--drain"]])
def test_a_database_that_nobody_migrated_names_the_command(
    project: "Application", empty_database: str, command: list[str]
) -> None:
    assert "jobq migrate" in explained(failed(project, *command, "--database-url", empty_database))


def test_a_class_of_a_script_is_named_by_the_worker_that_does_not_know_it(
    project: "Application", store: "Store"
) -> None:
    script = JOBS.partition("class Forgotten")[0].replace("Greet", "Hello")
    project.write("main.py", f"{script}\nif __name__ == '__main__':\n    Hello().run_in_worker()")
    project.python("-B", "main.py")
    log = project.jobq("run", "--drain").stderr
    assert "--app main" in log
    assert "--app main" in explained(log)
    project.jobq("run", "--drain", "--app", "main")
    assert [result.job_class for result in store.results()] == ["main.Hello"]


def test_an_argument_that_cannot_be_stored_is_named(project: "Application") -> None:
    said = project.python(UNSTORABLE).stdout
    assert "register" in explained(said)


UNSTORABLE = """
from jobq import JobqError
from jobs import Greet

try:
    Greet(object()).run_in_worker()
except JobqError as error:
    print(error)
"""


def test_a_wrong_address_is_explained(project: "Application") -> None:
    assert "jobq config" in explained(failed(project, "list", "--database-url", "postgresql://app@127.0.0.1:1/app"))


def test_a_role_that_may_not_create_a_schema_is_told_how(
    project: "Application", empty_database: str, server: str
) -> None:
    name = f"weak_{conninfo_to_dict(empty_database)['dbname']}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN'.encode())
        try:
            said = failed(project, "migrate", "--database-url", make_conninfo(empty_database, user=name))
        finally:
            connection.execute(f'DROP ROLE "{name}"'.encode())
    assert "GRANT CREATE ON DATABASE" in said
    assert "owner" in explained(said)


def test_a_port_in_use_is_named(project: "Application") -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            said = failed(project, "tui", "--web", "--port", str(other.server_port))
        finally:
            other.shutdown()
            thread.join()
    assert "--port" in explained(said.replace(str(other.server_port), "8765"))


def test_an_old_python_is_refused_by_pip() -> None:
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
    assert "3.11" in explained("requires a different Python: 3.10.13 not in '>=3.11'")


def test_a_syntax_error_is_shown_as_python_shows_it(project: "Application") -> None:
    project.write("jobs.py", "def broken(:\n")
    said = failed(project, "enqueue", "jobs.Greet")
    assert "def broken(:" in said
    assert "line" in explained(f"a traceback, {said}")
