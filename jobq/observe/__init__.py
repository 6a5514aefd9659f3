"""The read model: what the command line and the console show. Reads only, and never for long."""

from jobq.histograms import FEW
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
from jobq.observe.looks import LOOK, Matches, matches, search
from jobq.observe.needs import Kind, Need, StoppedSchedule, Stranded, Stuck, at_rest_filter, is_old, needs, workers_of
from jobq.observe.orders import MAX_SORTED, Order, among, sorted_page
from jobq.observe.overview import FRONT_LIMIT, classes, queues, stats, unknown_classes, workers
from jobq.observe.schedules import PREVIEW_LIMIT, RUNS, Preview, preview, require_all, schedules
from jobq.observe.selection import slow_parts
from jobq.observe.stored import Stored, Unfinished, stored_arguments, unfinished
from jobq.observe.timeline import (
    Acted,
    Asked,
    Begun,
    Enqueued,
    Event,
    Tried,
    first_enqueued_at,
    happened,
    possible_acts,
)
from jobq.observe.why import Reason, Why, why
from jobq.observe.words import spoken

__all__ = [
    "FEW",
    "FRONT_LIMIT",
    "LOOK",
    "MAX_SORTED",
    "PREVIEW_LIMIT",
    "RUNS",
    "Acted",
    "Asked",
    "Begun",
    "Ended",
    "Enqueued",
    "Event",
    "Failing",
    "FailureGroup",
    "Figures",
    "Finding",
    "Kind",
    "Matches",
    "Need",
    "Order",
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
    "Tried",
    "Unfinished",
    "Verdict",
    "Why",
    "act",
    "acts_on",
    "among",
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
    "first_enqueued_at",
    "following",
    "growths",
    "happened",
    "is_old",
    "legible_value",
    "list_jobs",
    "listing",
    "longest",
    "look",
    "matches",
    "needs",
    "needs_now",
    "not_found",
    "possible_acts",
    "preview",
    "queues",
    "require_all",
    "require_id",
    "schedules",
    "search",
    "select",
    "show",
    "slow_parts",
    "sorted_page",
    "spoken",
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
