"""jobq: background jobs from the PostgreSQL database you already have."""

from jobq.command import Command
from jobq.directives import Cancel, Defer, Fail, JobCancelled, JobInterrupted, JobTimedOut
from jobq.errors import JobqError
from jobq.job import Job, enqueue_many
from jobq.records import AttemptRecord, JobRecord
from jobq.registry import register_job, register_schedule
from jobq.schedules import Schedule

__all__ = [
    "AttemptRecord",
    "Cancel",
    "Command",
    "Defer",
    "Fail",
    "Job",
    "JobCancelled",
    "JobInterrupted",
    "JobRecord",
    "JobTimedOut",
    "JobqError",
    "Schedule",
    "enqueue_many",
    "register_job",
    "register_schedule",
]

__version__ = "0.1.0"
