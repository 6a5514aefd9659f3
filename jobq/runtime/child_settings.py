"""The settings that decide how many children there are, how each is set up, and when it is replaced or ended."""

import json
from dataclasses import dataclass

from jobq import telemetry
from jobq.grace import shutdown_grace
from jobq.settings import Settings, environment_of


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """Of the settings of a worker, those that concern its children. Memory in MB."""

    processes: int
    max_jobs_per_process: int | None
    max_memory_per_process: int | None
    max_memory_per_job: int | None
    max_losses: int
    concurrency: int
    cancel_grace: float
    shutdown_grace: float
    root: str
    app: tuple[str, ...]
    middleware: tuple[str, ...]
    environment: dict[str, str]
    log_format: str = "text"
    log_level: str = "info"
    job_logs: str = "failed"
    job_log_level: str = "info"
    automatic_telemetry: bool = False  # children set their SDK up as `opentelemetry-instrument` did here

    def for_child(self) -> bytes:
        """What a child is told before its first job."""
        names = (
            *("root", "app", "middleware", "log_format", "log_level", "job_logs", "job_log_level"),
            *("automatic_telemetry", "concurrency"),
        )
        return json.dumps({name: getattr(self, name) for name in names}).encode()


def child_settings(settings: Settings, processes: int) -> ChildSettings:
    return ChildSettings(
        processes=processes,
        max_jobs_per_process=settings.max_jobs_per_process,
        max_memory_per_process=settings.max_memory_per_process,
        max_memory_per_job=settings.max_memory_per_job,
        max_losses=settings.max_losses,
        concurrency=settings.concurrency,
        cancel_grace=settings.cancel_grace,
        shutdown_grace=shutdown_grace(settings),
        root=str(settings.root),
        app=settings.app,
        middleware=settings.middleware,
        environment={**environment_of(settings), **telemetry.environment_of_children()},
        log_format=settings.log_format,
        log_level=settings.log_level,
        job_logs=settings.job_logs,
        job_log_level=settings.job_log_level,
        automatic_telemetry=telemetry.is_automatic(),
    )
