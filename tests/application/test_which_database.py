"""Which database an application's jobs go to, where none is configured for jobq: found, said, and never migrated."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import Application, Store
from jobq import Job, found_database, register_job
from jobq.settings import Settings
from jobq.store.database import Database, default_database, use_database

PASSWORD = "hunter2-of-django"

JOBS = """
    from jobq import Job, register_job

    @register_job
    class Add(Job):
        def __init__(self, left: int, right: int):
            self.left, self.right = left, right

        def run(self):
            return self.left + self.right
"""

MANAGE = """
    import os
    import sys

    def main():
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")

    if __name__ == "__main__":
        main()
"""

SETTINGS = """
    import os
    from pathlib import Path

    print("settings may print")
    with open("imported-by", "a") as file:
        file.write(f"{{os.getpid()}} ")
    Path("seen-by-ps").write_text("".join(Path(f"/proc/{{pid}}/cmdline").read_text() for pid in ("self", os.getppid())))
    DATABASES = {{"default": {default}, "other": {default}}}
    USE_TZ = True
"""

SCRIPT = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
import django
django.setup()
from jobs import Add
"""


def django_database(url: str, **fields: Any) -> dict[str, Any]:
    """An address as an entry of DATABASES."""
    found = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found["dbname"],
        "USER": found.get("user", ""),
        "PASSWORD": PASSWORD,
        "HOST": found.get("host", ""),
        "PORT": found.get("port", ""),
        **fields,
    }


@pytest.fixture
def bare(application: Application) -> Application:
    """An application with jobs that configures no database for jobq."""
    application.write("pyproject.toml", "")
    application.write("jobs.py", JOBS)
    return application


@pytest.fixture
def site(bare: Application, database_url: str) -> Application:
    """A Django project, as `startproject` makes one, in short."""
    bare.write("manage.py", MANAGE)
    bare.write("site_settings.py", SETTINGS.format(default=django_database(database_url)))
    return bare


def database_of(application: Application, **environment: str) -> dict[str, str]:
    shown = application.jobq("config", "--json", environment=environment)
    assert shown.returncode == 0, shown.stderr
    assert PASSWORD not in shown.stdout + shown.stderr
    found: dict[str, str] = json.loads(shown.stdout)["database_url"]
    return found


def test_the_database_of_a_django_project_is_found_said_and_used(site: Application, store: Store) -> None:
    found = database_of(site)
    assert found["from"] == 'Django\'s DATABASES["default"] (site_settings)'
    assert "password=***" in found["value"]

    enqueued = site.jobq("enqueue", "jobs.Add", "2", "3")
    assert enqueued.returncode == 0, enqueued.stderr
    said = [line for line in enqueued.stderr.splitlines() if "Django's" in line]
    assert len(said) == 1
    assert said[0].startswith('jobq: using Django\'s DATABASES["default"] (site_settings): ')
    (site.path / "imported-by").unlink()
    with site.start("run", "--drain", "--max-processes", "1") as worker:
        assert worker.wait() == 0, worker.stderr
        imported_by = (site.path / "imported-by").read_text().split()
        assert len(imported_by) == 2, "the process that was asked, and the child for jobs, which sets Django up"
        assert str(worker.pid) not in imported_by
    assert [result.value for result in store.results()] == [5]
    assert PASSWORD not in enqueued.stderr + worker.stderr + (site.path / "seen-by-ps").read_text()


def test_a_process_in_which_django_is_set_up_uses_the_connections_database(site: Application, store: Store) -> None:
    ran = site.python(SCRIPT + "Add(2, 3).run_in_worker(); Add(4, 5).run_in_worker()")
    assert [job.arguments for job in store.unfinished()] == [{"left": 2, "right": 3}, {"left": 4, "right": 5}]
    assert ran.stderr.count("jobq: ") == 1
    assert 'jobq: using Django\'s DATABASES["default"] (site_settings): ' in ran.stderr
    assert PASSWORD not in ran.stderr


def test_a_django_project_just_below_is_found_from_the_whole_repository(bare: Application, database_url: str) -> None:
    for name in ("backend", "other"):
        bare.write(f"{name}/manage.py", MANAGE.replace("site_settings", f"{name}_settings"))
        bare.write(f"{name}/{name}_settings.py", SETTINGS.format(default=django_database(database_url)))
    (bare.path / "pyproject.toml").write_text("[tool.jobq]\n")
    assert database_of(Application(bare.path / "backend"))["from"].endswith("(backend_settings)")
    assert database_of(bare, DJANGO_SETTINGS_MODULE="other_settings")["from"].endswith("(other_settings)")
    refused = bare.jobq("list", environment={"JOBQ_ENV": "production"})
    assert "DJANGO_SETTINGS_MODULE is not set, and could be backend_settings or other_settings" in refused.stderr
    (bare.path / "other" / "manage.py").unlink()
    bare.write("backend/production_settings.py", "from backend_settings import *")
    assert database_of(bare, DJANGO_SETTINGS_MODULE="production_settings")["from"].endswith("(production_settings)")
    assert database_of(bare)["from"].endswith("(backend_settings)")


def test_in_djangos_tests_jobs_go_to_the_test_database(site: Application, settings: Settings) -> None:
    ran = site.python(
        SCRIPT
        + """
from django.db import connection
from jobq.store.database import default_database
before = default_database()
assert default_database() is before
connection.settings_dict["NAME"] = "test_shop"  # as Django's test runner does
assert default_database() is not before
print("dbname=test_shop" in default_database().settings.database_url)
"""
    )
    assert ran.stdout.splitlines()[-1] == "True"


def test_a_setting_of_django_names_another_alias(site: Application) -> None:
    with (site.path / "site_settings.py").open("a") as file:
        file.write('\nJOBQ_DATABASE_ALIAS = "other"\n')
    assert database_of(site)["from"] == 'Django\'s DATABASES["other"] (site_settings)'
    with (site.path / "site_settings.py").open("a") as file:
        file.write('\nJOBQ_DATABASE_ALIAS = "none"\n')
    refused = site.jobq("list")
    assert refused.returncode == 2
    assert "JOBQ_DATABASE_ALIAS is 'none', but DATABASES has only: 'default', 'other'" in refused.stderr


def test_a_database_that_was_found_is_never_migrated_unasked(site: Application, store: Store) -> None:
    fresh = {"JOBQ_SCHEMA": "fresh"}
    for arguments in (["enqueue", "jobs.Add", "2", "3"], ["run", "--drain"], ["list"]):
        refused = site.jobq(*arguments, environment=fresh)
        assert refused.returncode == 3
        assert "Run: jobq migrate" in refused.stderr
    assert store.rows("SELECT to_regnamespace('fresh') AS found")[0].found is None
    assert site.jobq("migrate", environment=fresh).returncode == 0
    assert site.jobq("list", environment=fresh).returncode == 0


@pytest.mark.parametrize(
    ("settings_file", "message"),
    [
        (f"raise RuntimeError('no postgres://ada:{PASSWORD}@db today')", "RuntimeError: no postgres://***@db today"),
        ("import not_installed_here", "ModuleNotFoundError: No module named 'not_installed_here'"),
        ("import os; os._exit(7)", "the process ended with exit code 7"),
    ],
)
def test_settings_that_cannot_be_asked_are_an_error_and_not_another_database(
    site: Application, settings_file: str, message: str
) -> None:
    site.write("site_settings.py", settings_file)
    refused = site.jobq("enqueue", "jobs.Add", "2", "3")
    assert refused.returncode == 2
    assert "Django's settings (site_settings) could not be asked for theirs" in refused.stderr
    assert message in refused.stderr
    assert "set JOBQ_DATABASE_URL" in refused.stderr
    assert PASSWORD not in refused.stderr
    assert not (site.path / ".jobq").exists()


def test_what_is_configured_for_jobq_wins_and_django_is_not_asked(
    site: Application, database_url: str, store: Store
) -> None:
    configured = make_conninfo(database_url, application_name="chosen")
    assert database_of(site, JOBQ_DATABASE_URL=configured)["from"] == "JOBQ_DATABASE_URL"
    site.write("pyproject.toml", f"[tool.jobq]\ndatabase_url = {json.dumps(configured)}\n")
    assert database_of(site, DATABASE_URL="postgresql://db/other")["from"].startswith("[tool.jobq] in ")
    assert database_of(site, JOBQ_DATABASE_URL="embedded")["value"].startswith("embedded in ")
    assert not (site.path / "imported-by").exists()


def test_database_url_is_used_where_nothing_else_is_said(bare: Application, database_url: str, store: Store) -> None:
    variable = f" '{make_conninfo(database_url)}' "
    found = conninfo_to_dict(database_url)
    url = (
        f"postgresql+asyncpg://{found['user']}:{PASSWORD}@/{found['dbname']}?host={found['host']}&port={found['port']}"
    )
    assert database_of(bare, DATABASE_URL=f" '{url}' ")["from"] == "DATABASE_URL"
    enqueued = bare.jobq("enqueue", "jobs.Add", "2", "3", environment={"DATABASE_URL": f'"{url}"'})
    assert enqueued.returncode == 0, enqueued.stderr
    assert "jobq: using DATABASE_URL: postgresql://" in enqueued.stderr
    assert PASSWORD not in enqueued.stderr
    assert len(store.unfinished()) == 1
    for other in ("mysql://ada:s3cret@db/shop", "sqlite:///shop.db", variable):
        assert database_of(bare, DATABASE_URL=other)["value"] == f"embedded in {expected_home(bare)}"


def expected_home(application: Application) -> Path:
    from jobq.embedded import default_home

    return default_home(application.path)


def test_a_django_project_on_another_database_says_why_it_is_not_used(site: Application) -> None:
    site.write(
        "site_settings.py", 'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}'
    )
    refused = site.jobq("enqueue", "jobs.Add", "2", "3", environment={"JOBQ_ENV": "production"})
    assert refused.returncode == 2
    assert 'Django\'s DATABASES["default"] (site_settings) is sqlite, not PostgreSQL' in refused.stderr


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"NAME": "shop"}, {"dbname": "shop"}),
        ({"NAME": None}, {"dbname": "postgres"}),
        ({"NAME": "shop", "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}, {"dbname": "shop"}),
        ({"NAME": "shop", "HOST": "/run/postgresql", "PORT": 5433}, {"host": "/run/postgresql", "port": "5433"}),
        ({"NAME": "shop", "PASSWORD": "a b'c\\d@e"}, {"password": "a b'c\\d@e"}),
        ({"NAME": "", "OPTIONS": {"service": "shop", "passfile": "/x/.pgpass"}}, {"service": "shop"}),
        (
            {"NAME": "shop", "OPTIONS": {"sslmode": "verify-full", "sslrootcert": Path("/ca.pem")}},
            {"sslmode": "verify-full", "sslrootcert": "/ca.pem"},
        ),
        (
            {"NAME": "shop", "OPTIONS": {"pool": {"min_size": 2}, "isolation_level": 3, "server_side_binding": True}},
            {"dbname": "shop"},
        ),
        (
            {"NAME": "shop", "OPTIONS": {"options": "-c search_path=shop", "assume_role": "my role"}},
            {"options": "-c search_path=shop -c role=my\\ role"},
        ),
        ({"NAME": "shop", "OPTIONS": {"connect_timeout": 3}}, {"connect_timeout": "3"}),
    ],
)
def test_an_entry_of_djangos_databases_means_what_django_makes_of_it(
    fields: dict[str, Any], meant: dict[str, str]
) -> None:
    found = found_database.of_django({"ENGINE": "django.db.backends.postgresql", **fields})
    assert found.url is not None
    assert meant.items() <= conninfo_to_dict(found.url).items()
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize(
    ("fields", "vendor", "reason"),
    [
        ({"NAME": "shop"}, "mysql", 'Django\'s DATABASES["default"] is mysql, not PostgreSQL'),
        ({"NAME": ""}, "postgresql", 'Django\'s DATABASES["default"] has no NAME'),
        ({"NAME": "shop", "PASSWORD": print}, "postgresql", "password is made by code, which jobq cannot repeat"),
    ],
)
def test_an_entry_that_is_no_address_has_a_reason(fields: dict[str, Any], vendor: str, reason: str) -> None:
    found = found_database.of_django(fields, vendor=vendor)
    assert found.url is None
    assert reason in found.notes[0]


def test_django_without_databases_is_passed_over(bare: Application) -> None:
    ran = bare.python(
        "from django.conf import settings; settings.configure(); from jobq.settings import load; print(load().found)"
    )
    assert "Django's DATABASES has no entry 'default'" in ran.stdout


# A caller's connection to another database


class Compared(Job):
    def run(self) -> None: ...


@pytest.fixture
def compared() -> type[Compared]:
    return register_job(Compared)


@pytest.fixture
def elsewhere(databases: Any) -> Iterator[str]:
    """The address of another database, with jobq's tables in it."""
    with databases.new() as settings:
        yield settings.database_url


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "jobq" and record.levelno > logging.INFO]


def test_a_connection_to_another_database_is_warned_about_once(
    database: Database, elsewhere: str, compared: type[Compared], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with psycopg.connect(elsewhere) as connection:
            assert compared().run_in_worker(connection=connection) is not None
    (warning,) = warnings_of(caplog)
    assert warning.startswith(f"connection= leads to database '{conninfo_to_dict(elsewhere)['dbname']}'")
    assert f"jobq's own is {database.shown_url}" in warning
    assert "set JOBQ_DATABASE_URL" in warning


def test_a_connection_to_the_same_database_is_compared_once_and_not_warned_about(
    database: Database, database_url: str, compared: type[Compared], caplog: pytest.LogCaptureFixture
) -> None:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
    for _ in range(2):
        with psycopg.connect(database_url) as connection, engine.begin() as of_engine:
            compared().run_in_worker(connection=connection)
            compared().run_in_worker(connection=of_engine)
    assert warnings_of(caplog) == []
    assert len(database.compared) == 2
    engine.dispose()


def test_a_connection_of_an_event_loop_is_compared_too(
    database: Database, elsewhere: str, compared: type[Compared], caplog: pytest.LogCaptureFixture
) -> None:
    async def enqueue() -> None:
        async with await psycopg.AsyncConnection.connect(elsewhere) as connection:
            await compared().run_in_worker_async(connection=connection)

    asyncio.run(enqueue())
    assert len(warnings_of(caplog)) == 1


def test_where_nothing_is_configured_a_callers_connection_is_warned_about(
    elsewhere: str,
    compared: type[Compared],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(found_database, "of_this_process", lambda: None)
    use_database(None)
    with psycopg.connect(elsewhere) as connection:
        compared().run_in_worker(connection=connection)
    (warning,) = warnings_of(caplog)
    assert "but no database is configured for jobq: workers and commands here use the embedded PostgreSQL" in warning
    assert default_database().is_embedded
    use_database(None)
    assert not (tmp_path / ".jobq").exists(), "nothing was started for the comparison"


def test_a_configured_database_that_cannot_be_reached_does_not_hold_an_enqueue_up(
    settings: Settings,
    database_url: str,
    compared: type[Compared],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="jobq")
    use_database(Database(replace(settings, database_url=f"postgresql://ada:{PASSWORD}@127.0.0.1:1/shop")))
    try:
        with psycopg.connect(database_url) as connection:
            assert compared().run_in_worker(connection=connection) is not None
    finally:
        use_database(None)
    assert warnings_of(caplog) == []
    assert "cannot be compared with jobq's own database" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_wrong_address_of_jobqs_own_does_not_hold_an_enqueue_up(
    settings: Settings, database_url: str, compared: type[Compared], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="jobq")
    use_database(Database(replace(settings, database_url=f"postgresql://ada:{PASSWORD}@x@db/shop")))
    try:
        with psycopg.connect(database_url) as connection:
            assert compared().run_in_worker(connection=connection) is not None
    finally:
        use_database(None)
    assert "is not the address of a PostgreSQL database" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_manage_py_that_is_not_djangos_asks_nobody(bare: Application) -> None:
    bare.write("manage.py", "raise SystemExit('of some other framework')\n")
    assert database_of(bare)["value"].startswith("embedded in ")
