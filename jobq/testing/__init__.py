"""Tools for tests of jobs: assertions, the run of due jobs, a clock, fixtures for pytest.

    from jobq.testing import assert_enqueued, run_due_jobs

    def test_a_new_user_is_welcomed(jobq_database):
        sign_up("ada")
        assert_enqueued(WelcomeUser, arguments={"name": "ada"})
        run_due_jobs()

pytest loads this package and its fixtures if jobq is installed. It works without pytest too. Everything else is loaded
on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobq.testing.assertions import EnqueuedJob, assert_enqueued, enqueued_jobs, refute_enqueued
    from jobq.testing.clock import Clock
    from jobq.testing.connections import on_connection
    from jobq.testing.databases import Databases, create_tables, empty_tables, used
    from jobq.testing.inline import immediately
    from jobq.testing.running import Attempt, run_due_jobs, run_due_jobs_async

__all__ = [
    "Attempt",
    "Clock",
    "Databases",
    "EnqueuedJob",
    "assert_enqueued",
    "create_tables",
    "empty_tables",
    "enqueued_jobs",
    "immediately",
    "on_connection",
    "refute_enqueued",
    "run_due_jobs",
    "run_due_jobs_async",
    "used",
]

pytest_plugins = ["jobq.testing.plugin"]
"""The fixtures: pytest loads this module when it has loaded the package."""

_HOMES = {
    **dict.fromkeys(("EnqueuedJob", "assert_enqueued", "enqueued_jobs", "refute_enqueued"), "assertions"),
    **dict.fromkeys(("Attempt", "run_due_jobs", "run_due_jobs_async"), "running"),
    **dict.fromkeys(("Databases", "create_tables", "empty_tables", "used"), "databases"),
    "Clock": "clock",
    "immediately": "inline",
    "on_connection": "connections",
}
"""The modules that define the names of `__all__`. There is no `__dir__`: pytest asks a plugin for each name in it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
