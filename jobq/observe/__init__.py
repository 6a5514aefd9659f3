"""The read model: what the command line and the console show. Reads only, and never for long."""

from jobq.observe.acts import act, acts_on, audit
from jobq.observe.doctor import Finding, Verdict, doctor
from jobq.observe.failures import FailureGroup, failures
from jobq.observe.figures import Figures, Period, QueueFlow, Step, figures
from jobq.observe.following import finding, following, legible_value, listing, look, standing
from jobq.observe.jobs import (
    Ended,
    Page,
    Position,
    Selected,
    ended,
    list_jobs,
    not_found,
    require_id,
    select,
    show,
)
from jobq.observe.overview import FRONT_LIMIT, classes, queues, stats, unknown_classes, workers
from jobq.observe.schedules import PREVIEW_LIMIT, RUNS, Preview, preview, require_all, schedules
from jobq.observe.selection import slow_parts
from jobq.observe.stored import Stored, Unfinished, stored_arguments, unfinished
from jobq.observe.why import Reason, Why, why

__all__ = [
    "FRONT_LIMIT",
    "PREVIEW_LIMIT",
    "RUNS",
    "Ended",
    "FailureGroup",
    "Figures",
    "Finding",
    "Page",
    "Period",
    "Position",
    "Preview",
    "QueueFlow",
    "Reason",
    "Selected",
    "Step",
    "Stored",
    "Unfinished",
    "Verdict",
    "Why",
    "act",
    "acts_on",
    "audit",
    "classes",
    "doctor",
    "ended",
    "failures",
    "figures",
    "finding",
    "following",
    "legible_value",
    "list_jobs",
    "listing",
    "look",
    "not_found",
    "preview",
    "queues",
    "require_all",
    "require_id",
    "schedules",
    "select",
    "show",
    "slow_parts",
    "standing",
    "stats",
    "stored_arguments",
    "unfinished",
    "unknown_classes",
    "why",
    "workers",
]
