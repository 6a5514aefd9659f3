"""The read model: what the command line and the console show. Reads only, and never for long."""

from jobq.observe.acts import act, acts_on, audit
from jobq.observe.doctor import Finding, Verdict, doctor
from jobq.observe.facts import facts_of, growths, needs_now, stuck
from jobq.observe.failures import Failing, FailureGroup, failing, failures
from jobq.observe.figures import Figures, Period, QueueFlow, Step, figures
from jobq.observe.following import finding, following, legible_value, listing, look, standing
from jobq.observe.jobs import (
    Ended,
    Page,
    Position,
    Selected,
    ended,
    list_jobs,
    longest,
    not_found,
    require_id,
    select,
    show,
)
from jobq.observe.needs import Kind, Need, StoppedSchedule, Stranded, Stuck, at_rest_filter, is_old, needs, workers_of
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
    "Failing",
    "FailureGroup",
    "Figures",
    "Finding",
    "Kind",
    "Need",
    "Page",
    "Period",
    "Position",
    "Preview",
    "QueueFlow",
    "Reason",
    "Selected",
    "Step",
    "StoppedSchedule",
    "Stored",
    "Stranded",
    "Stuck",
    "Unfinished",
    "Verdict",
    "Why",
    "act",
    "acts_on",
    "at_rest_filter",
    "audit",
    "classes",
    "doctor",
    "ended",
    "facts_of",
    "failing",
    "failures",
    "figures",
    "finding",
    "following",
    "growths",
    "is_old",
    "legible_value",
    "list_jobs",
    "listing",
    "longest",
    "look",
    "needs",
    "needs_now",
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
    "stuck",
    "unfinished",
    "unknown_classes",
    "why",
    "workers",
    "workers_of",
]
