"""jobq: background jobs from the PostgreSQL database you already have."""

from jobq.command import Command
from jobq.errors import JobqError
from jobq.job import Job, enqueue_many
from jobq.records import JobRecord
from jobq.registry import register_job, register_schedule
from jobq.schedules import Schedule

__all__ = [
    "Command",
    "Job",
    "JobRecord",
    "JobqError",
    "Schedule",
    "enqueue_many",
    "register_job",
    "register_schedule",
]

__version__ = "0.1.0"
