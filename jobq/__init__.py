"""jobq: background jobs from the PostgreSQL database you already have."""

from jobq.errors import JobqError
from jobq.job import Job, enqueue_many
from jobq.records import JobRecord
from jobq.registry import register_job

__all__ = ["Job", "JobRecord", "JobqError", "enqueue_many", "register_job"]

__version__ = "0.1.0"
