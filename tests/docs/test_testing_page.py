"""docs/testing.md: its tests pass, each in a small application with the framework that it is about."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import conninfo_to_dict

from jobq.addresses import url_of
from pages import docs

if TYPE_CHECKING:
    from conftest import Application

PAGE = docs("testing")
SHOPS = Path(__file__).parents[1] / "application" / "shops"
APPS = SHOPS.with_name("apps")
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")

Run = Callable[..., str]


@pytest.fixture
def run_tests(application: "Application", server: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("JOBQ_TEST_DATABASE_URL", server)
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    parts = {name: str(value) for name, value in conninfo_to_dict(database_url).items()}
    query = "&".join(f"{name}={parts[name]}" for name in ("host", "port", "user", "password") if name in parts)
    monkeypatch.setenv("TEST_DATABASE_URL", f"postgresql+psycopg:///{parts['dbname']}?{query}")

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=application.path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def move_in(application: "Application", name: str, tests: Sequence[str]) -> None:
    """An application, with tests of the page."""
    if name:
        shutil.copytree(SHOPS / name, application.path, dirs_exist_ok=True)
    application.write("test_shop.py", "\n\n".join(tests))


def test_the_tests_of_a_job_pass(application: "Application", run_tests: Run) -> None:
    sections = ("A database for each test", "The clock", "Jobs that run at once")
    move_in(application, "", [block for section in sections for block in PAGE.code(section)])
    assert "6 passed" in run_tests(*PYTEST)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_tests_with_pytest_django_pass(application: "Application", run_tests: Run, workers: str) -> None:
    pytest_style, _ = PAGE.code("Django")
    move_in(application, "tested_django", [pytest_style])
    assert "3 passed" in run_tests(*PYTEST, "--ds=settings", "-n", workers)


def test_the_tests_with_djangos_own_runner_pass(application: "Application", run_tests: Run) -> None:
    _, unittest_style = PAGE.code("Django")
    move_in(application, "tested_django", [unittest_style])
    assert "Ran 1 test" in run_tests("django", "test", "--settings=settings", "--noinput")


def test_the_tests_with_sqlalchemy_pass(application: "Application", run_tests: Run) -> None:
    conftest, tests = PAGE.code("SQLAlchemy")
    move_in(application, "tested_sqlalchemy", [tests])
    application.write("conftest.py", conftest)
    assert "2 passed" in run_tests(*PYTEST)


def test_the_tests_with_fastapi_pass(application: "Application", run_tests: Run) -> None:
    move_in(application, "tested_fastapi", PAGE.code("FastAPI"))
    assert "3 passed" in run_tests(*PYTEST, "-n", "2")


def test_the_tests_with_fastapi_and_sqlalchemy_pass(
    application: "Application", run_tests: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(APPS / "fastapi", application.path, dirs_exist_ok=True)
    monkeypatch.setenv("DATABASE_URL", url_of(database_url).replace("postgresql", "postgresql+asyncpg", 1))
    conftest, tests = PAGE.code("FastAPI with SQLAlchemy")
    application.write("conftest.py", conftest)
    application.write("test_shop.py", tests)
    assert "4 passed" in run_tests(*PYTEST)


def test_the_tests_that_are_coroutines_pass(application: "Application", run_tests: Run) -> None:
    move_in(application, "tested_fastapi", PAGE.code("Tests that are coroutines"))
    assert "1 passed" in run_tests(*PYTEST)


def test_the_tests_with_flask_pass(application: "Application", run_tests: Run) -> None:
    move_in(application, "tested_flask", PAGE.code("Flask"))
    assert "2 passed" in run_tests(*PYTEST)
