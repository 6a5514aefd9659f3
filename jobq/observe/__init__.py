"""The read model: what the command line and the console show. Reads only, and never for long."""

from jobq.observe.acts import act, audit
from jobq.observe.jobs import Ended, Page, Position, ended, list_jobs, select, show
from jobq.observe.overview import classes, queues, stats, unknown_classes, workers

__all__ = [
    "Ended",
    "Page",
    "Position",
    "act",
    "audit",
    "classes",
    "ended",
    "list_jobs",
    "queues",
    "select",
    "show",
    "stats",
    "unknown_classes",
    "workers",
]
