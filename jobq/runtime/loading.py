"""In a child: imports the application and says what it defines, or why it does not import."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobq import settings, telemetry
from jobq.application import describe, describe_schedules, job_modules_deeper, load_application
from jobq.errors import ApplicationError, JobqError
from jobq.frameworks import surroundings
from jobq.load_steps import followed, step
from jobq.registry import registry
from jobq.runtime import child_logs, job_lines, middleware
from jobq.runtime.descriptors import Descriptors
from jobq.runtime.execution import leave_if_forked
from jobq.runtime.protocol import pack_message
from jobq.runtime.shared_memory import LOADING, MAX_NOTE_BYTES, SharedMemory

EXIT_NOT_LOADED = 2


def load(setup: dict[str, Any], memory: SharedMemory, descriptors: Descriptors) -> None:
    """What it is doing is in the memory until it has ended: it may hang, or end this process."""
    process = os.getpid()
    try:
        with followed(lambda doing: memory.write(LOADING, doing.encode(errors="replace")[:MAX_NOTE_BYTES])):
            loaded = load_all(setup)
    except JobqError as error:
        leave_if_forked(process)
        user_traceback = error.user_traceback if isinstance(error, ApplicationError) else ""
        descriptors.tell(pack_message("failed", {"message": str(error), "traceback": user_traceback}))
        sys.exit(EXIT_NOT_LOADED)
    leave_if_forked(process)
    job_lines.install(memory, setup["job_log_level"], setup["job_logs"])
    descriptors.tell(pack_message("ready", loaded))


def load_all(setup: dict[str, Any]) -> dict[str, Any]:
    """What the application defines. Raises JobqError."""
    child_logs.prepare(setup["log_format"])
    if setup["automatic_telemetry"]:
        with step("setting up OpenTelemetry"):
            telemetry.set_up_like_parent()
    modules = load_application(Path(setup["root"]), setup["app"])
    with step("setting up the middleware"):
        middleware.use(setup["middleware"])
    require_classes(modules, setup["root"])
    surroundings.use_care()
    child_logs.configure(setup["log_format"], setup["log_level"], setup["job_log_level"])
    if setup["concurrency"] > 1:
        middleware.require_asynchronous()
    with step("making the jobs of the schedules"):
        schedules = describe_schedules(settings.load(Path(setup["root"])))
    return {
        "modules": modules,
        "classes": [asdict(record) for record in describe()],
        "schedules": [asdict(record) for record in schedules],
    }


def require_classes(modules: list[str], root: str) -> None:
    if not len(registry):
        where = ", ".join(modules) or "any jobs.py, {package}/jobs.py or {package}/{package}/jobs.py"
        deeper = "" if modules else told_deeper(Path(root))
        raise ApplicationError(
            f"No job class is registered in {where} of {root}. "
            f"Decorate Job classes with @register_job, or name their modules with --app.{deeper}"
        )


def told_deeper(root: Path) -> str:
    """Where a jobs.py lies that is not looked for, and how to have it found."""
    found = [path.relative_to(root) for path in job_modules_deeper(root)]
    if not found:
        return ""
    return (
        f" There is {', '.join(map(str, found))}, which is not looked for: the outer of two packages needs an "
        "__init__.py, and a folder that is not a package must be the working directory of jobq, or be in PYTHONPATH."
    )
