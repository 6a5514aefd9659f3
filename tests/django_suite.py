"""Runs Django's own tests of its task backends against jobq's, and says which of them fail, and why.

    python -m tests.django_suite [--source FOLDER_OR_ARCHIVE] [--database-url URL]

Its tests are in no wheel: the source archive of the installed release is fetched with `pip download`, unless it is
given. Where they name Django's dummy backend, jobq's stands, with what was enqueued as its `results`; where they name
the immediate one, jobq's stands with a worker of one call after each enqueue. Only the names of the backends change.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

from jobq import embedded
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database

EXPECTED = {
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result": "changes what the dummy keeps in memory",
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result_async": "changes what the dummy keeps in memory",
    "test_immediate_backend.ImmediateBackendTestCase.test_cannot_get_result": "jobq has results",
    "test_immediate_backend.ImmediateBackendTestCase.test_cannot_refresh_result": "jobq has results",
    "test_immediate_backend.ImmediateBackendTestCase.test_cannot_pass_run_after": "jobq has run_after",
    "test_immediate_backend.ImmediateBackendTransactionTestCase.test_doesnt_wait_until_transaction_commit_by_default": (
        "no worker sees a job before its transaction commits"
    ),
}
"""The tests that fail, each with the reason: what jobq does otherwise on purpose, or what a test does to the dummy."""

BACKENDS = {"dummy": ("DummyBackend", "Waiting"), "immediate": ("ImmediateBackend", "Running")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="Django's source archive, or the folder that it unpacks to.")
    parser.add_argument("--database-url", help="A database to make jobq's tables in. Default: an embedded server.")
    given = parser.parse_args()
    if django.VERSION < (6, 0):
        parser.error(f"Django {django.get_version()} has no tasks: use a Python with Django 6.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # a server that may not be root's reaches its own folder in it
        return judged(run_on(given.database_url, given.source, Path(folder)))


def run_on(url: str | None, source: Path | None, folder: Path) -> Any:
    with database_url(url, folder) as url:
        adapted(unpacked(source, folder) / "tests" / "tasks", folder / "tasks")
        sys.path.insert(0, str(folder))
        set_up(url)
        tests = unittest.defaultTestLoader.discover(str(folder / "tasks"), top_level_dir=str(folder))
        return unittest.TextTestRunner(verbosity=2).run(tests)


@contextmanager
def database_url(given: str | None, folder: Path) -> Iterator[str]:
    """The address of a database with jobq's tables."""
    server = None if given else embedded.attach(folder / "server", linger=0)
    try:
        url = given or server.url  # type: ignore[union-attr]  # one of them is there
        migrations.migrate(Database(Settings(database_url=url)))
        yield url
    finally:
        if server is not None:
            server.close()


def unpacked(source: Path | None, folder: Path) -> Path:
    """The folder of Django's source."""
    if source is not None and source.is_dir():
        return source
    if source is None:
        wanted = f"django=={django.get_version()}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", wanted]
        subprocess.run(pip, cwd=folder, check=True)
        (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    return unpacked


def adapted(tests: Path, target: Path) -> None:
    """Copies the tests, with jobq's backends under the names of Django's."""
    shutil.copytree(tests, target)
    for file in target.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for module, (theirs, ours) in BACKENDS.items():
            text = text.replace(f"django.tasks.backends.{module}.{theirs}", f"tests.django_suite_backends.{ours}")
            text = text.replace(
                f"from django.tasks.backends.{module} import {theirs}",
                f"from tests.django_suite_backends import {ours} as {theirs}",
            )
        file.write_text(text, encoding="utf-8")


def set_up(url: str) -> None:
    from django.conf import settings
    from django.test import SimpleTestCase
    from django.test.utils import setup_test_environment
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    default = {name: parts.get(part, "") for name, part in names.items()}
    settings.configure(
        INSTALLED_APPS=["jobq.django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **default}},
        USE_TZ=True,
        SECRET_KEY="for tests only",
        LOGGING_CONFIG=None,
    )
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # some async tests ask the dummy, which is in memory, without await
    logging.getLogger("django.tasks").setLevel(logging.INFO)
    setup_test_environment(debug=False)
    django.setup()
    SimpleTestCase.databases = {"default"}  # the backends of Django need none


def judged(result: Any) -> int:
    """Says which tests fail and why; 1 where other tests failed than those that are known to."""
    failed = {test.id().removeprefix("tasks.").partition(" [")[0] for test, _ in [*result.failures, *result.errors]}
    for name in sorted(failed):
        print(f"fails: {name}: {EXPECTED.get(name, 'NOT EXPECTED')}")
    for name in sorted(EXPECTED.keys() - failed):
        print(f"passes: {name}, BUT IS EXPECTED TO FAIL: {EXPECTED[name]}")
    print(f"{result.testsRun - len(failed)} of {result.testsRun} pass, {len(result.skipped)} of them skipped")
    return int(failed != EXPECTED.keys())


if __name__ == "__main__":
    sys.exit(main())
