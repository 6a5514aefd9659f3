"""The format of recordings: the recorded questions, and the name of each field of an answer.

A recording is a file of JSON lines. The first line of each session is its header:

    {"jobq": "recording", "format": 2, "version": "0.1.0", "at": 1767225600.0, "target": {...}, "abilities": [...]}

Every other line is an answer, or the error that came instead:

    {"at": 1767225601.25, "ask": "job", "with": {"id": 42}, "answer": {...}}
    {"at": 1767225602.25, "ask": "look", "error": "the database cannot be reached"}

`at` is in seconds since 1970, strictly increasing. `ask` is a name of QUESTIONS, `with` its arguments. The answer to
`look` has only the parts that changed since the last look. Moments are in ISO 8601, durations in seconds. An empty
field may be left out. A reader ignores unknown fields. A change that an older reader would misread needs another
FORMAT.

The names belong to the format: renaming a class or an attribute changes nothing here.
"""

from dataclasses import dataclass
from typing import Any

from jobq.observe import (
    AttemptLog,
    Deploy,
    Failing,
    FailureGroup,
    Figures,
    Forecast,
    Gated,
    LoggedLine,
    Matches,
    Origin,
    Outlook,
    Period,
    Position,
    Preview,
    QueueFlow,
    Reason,
    Step,
    StoppedSchedule,
    Stranded,
    Stuck,
    Why,
)
from jobq.operate import Stack
from jobq.records import (
    ActRecord,
    AttemptRecord,
    ClassRecord,
    GateStats,
    JobActs,
    JobDetail,
    JobRecord,
    LaneStats,
    ParameterRecord,
    Progress,
    QueueStats,
    ScheduleRecord,
    Stats,
    TickRecord,
    UnknownClass,
    WorkerRecord,
)

from .access import Target
from .codec import (
    FLAG,
    INTEGER,
    JSON,
    MOMENT,
    NUMBER,
    OBJECT,
    TEXT,
    Field,
    Kind,
    either,
    field,
    listed,
    maybe,
    record,
    table,
)
from .source import JobPage, Snapshot

FORMAT = 2

TARGET = record(
    Target,
    field("name", TEXT), field("schema", TEXT), field("environment", TEXT, "env"),
    field("read_only", FLAG, "is_read_only"),
)  # fmt: skip

# Jobs

PROGRESS = record(
    Progress,
    field("done", NUMBER), field("total", either(NUMBER)), field("message", either(TEXT)), field("at", MOMENT),
)  # fmt: skip

JOB = record(
    JobRecord,
    field("id", INTEGER), field("class", TEXT, "job_class"), field("queue", TEXT), field("priority", INTEGER),
    field("state", TEXT), field("outcome", either(TEXT)), field("attempt", INTEGER), field("retries", INTEGER),
    field("unique_key", either(TEXT)), field("arguments", OBJECT), field("enqueued_at", MOMENT),
    field("due_at", MOMENT, "run_at"), maybe("started_at", MOMENT), maybe("ended_at", MOMENT),
    maybe("error_type", TEXT), maybe("error_message", TEXT), maybe("worker", TEXT), maybe("source", TEXT),
    maybe("timeout", NUMBER), maybe("expires_at", MOMENT), maybe("cancel_requested_at", MOMENT),
    maybe("cancel_requested_by", TEXT), maybe("progress", PROGRESS), maybe("is_followed", FLAG),
    maybe("on_held", TEXT), maybe("traceparent", TEXT), maybe("gate", TEXT), maybe("lane", TEXT),
)  # fmt: skip

ATTEMPT = record(
    AttemptRecord,
    field("attempt", INTEGER), field("outcome", TEXT), field("retried", FLAG), field("started_at", either(MOMENT)),
    field("ended_at", MOMENT), field("worker", either(TEXT)), field("error_type", either(TEXT)),
    field("error_message", either(TEXT)), field("traceback", either(TEXT)), field("value", JSON),
    maybe("cpu_seconds", NUMBER), maybe("peak_memory_bytes", INTEGER), maybe("value_note", TEXT),
    maybe("enqueued_at", MOMENT), maybe("due_at", MOMENT, "run_at"), maybe("source", TEXT),
    maybe("hidden", listed(TEXT)), maybe("build", TEXT),
)  # fmt: skip

DETAIL = record(
    JobDetail, field("job", JOB), field("attempts", listed(ATTEMPT)), field("class_is_known", FLAG, "known")
)

POSITION = record(Position, field("id", INTEGER), maybe("ended_at", MOMENT), maybe("place", INTEGER))

PAGE = record(
    JobPage, field("jobs", listed(JOB)), field("next", either(POSITION)), maybe("slow_terms", listed(TEXT), "slow"),
    maybe("looked", INTEGER), maybe("sorted", INTEGER),
)  # fmt: skip

MATCHES = record(Matches, field("number", INTEGER), maybe("looked", INTEGER))

REASON = record(Reason, field("kind", TEXT), field("text", TEXT), maybe("remedy", TEXT))

WHY = record(
    Why,
    field("job", JOB), field("reasons", listed(REASON)), maybe("jobs_ahead", INTEGER, "ahead"),
    maybe("estimated_seconds", NUMBER),
)  # fmt: skip

STACK = record(
    Stack, field("job", INTEGER, "job_id"), field("attempt", INTEGER), field("worker", either(TEXT)),
    field("text", TEXT),
)  # fmt: skip

LOGGED_LINE = record(
    LoggedLine,
    field("job", INTEGER, "job_id"), field("attempt", INTEGER), field("class", TEXT, "job_class"),
    field("queue", TEXT), field("number", INTEGER), field("at", MOMENT), field("seconds", NUMBER),
    field("level", INTEGER), field("logger", TEXT, "source"), field("message", TEXT),
)  # fmt: skip

LOG = record(
    AttemptLog,
    field("job", INTEGER, "job_id"), field("attempt", either(INTEGER)), field("said", INTEGER),
    field("lines", listed(LOGGED_LINE)), maybe("is_tail", FLAG),
)  # fmt: skip

ACT = record(
    ActRecord,
    field("id", INTEGER), field("at", MOMENT), field("ended_at", MOMENT), field("who", TEXT),
    field("database_user", TEXT), field("verb", TEXT), field("selection", either(TEXT)), field("affected", INTEGER),
    field("ids", listed(INTEGER)), field("names", listed(TEXT)), field("undoes", either(INTEGER)),
    field("undone_at", either(MOMENT)), field("seconds_ago", NUMBER), maybe("remaining", INTEGER),
)  # fmt: skip

ACTS = record(JobActs, field("named", listed(ACT)), field("possible", listed(ACT)))

# Queues, workers, classes, schedules

QUEUE = record(
    QueueStats,
    field("name", TEXT), field("pending", INTEGER), field("running", INTEGER), field("scheduled", INTEGER),
    field("oldest_seconds", either(NUMBER)), field("is_paused", FLAG, "paused"), maybe("paused_at", MOMENT),
    maybe("paused_by", TEXT), maybe("pause_reason", TEXT),
)  # fmt: skip

SET_BY_OPERATORS = (
    maybe("set_limit", INTEGER), maybe("set_at", MOMENT), maybe("set_until", MOMENT), maybe("set_by", TEXT),
    maybe("set_reason", TEXT), maybe("paused_at", MOMENT), maybe("paused_until", MOMENT), maybe("paused_by", TEXT),
    maybe("pause_reason", TEXT),
)  # fmt: skip

GATE = record(
    GateStats,
    field("name", TEXT), field("declared_limit", either(INTEGER)), field("lane_limit", either(INTEGER)),
    field("rate", either(INTEGER)), field("rate_seconds", either(NUMBER)), field("rate_burst", either(INTEGER)),
    field("lane_rate", either(INTEGER)), field("lane_rate_seconds", either(NUMBER)),
    field("lane_rate_burst", either(INTEGER)), field("lane_parameter", either(TEXT)), field("is_strict", FLAG),
    field("is_known", FLAG), field("is_declared", FLAG), field("next_start_seconds", either(NUMBER)),
    field("running", INTEGER), field("running_lanes", INTEGER), field("running_since", either(MOMENT)),
    field("waiting", INTEGER), field("lanes", INTEGER), field("oldest_seconds", either(NUMBER)), *SET_BY_OPERATORS,
)  # fmt: skip

LANE = record(
    LaneStats,
    field("name", TEXT), field("waiting", INTEGER), field("running", INTEGER), field("running_since", either(MOMENT)),
    field("oldest_seconds", either(NUMBER)), *SET_BY_OPERATORS,
)  # fmt: skip

GATED = record(Gated, field("gate", GATE), field("lanes", listed(LANE)), field("is_more", FLAG))

WORKER = record(
    WorkerRecord,
    field("id", INTEGER), field("name", TEXT), field("host", TEXT), field("pid", INTEGER), field("version", TEXT),
    field("processes", INTEGER), field("queues", listed(TEXT)), field("started_at", MOMENT),
    field("heartbeat_seconds", NUMBER), field("running", INTEGER), field("status", OBJECT),
    maybe("stop_requested_at", MOMENT), maybe("stop_requested_by", TEXT), maybe("is_silent", FLAG),
    maybe("build", TEXT),
)  # fmt: skip

UNKNOWN_CLASS = record(
    UnknownClass,
    field("class", TEXT, "job_class"), field("jobs", INTEGER), field("queues", listed(TEXT)),
    maybe("counts", listed(INTEGER)),
)  # fmt: skip

PARAMETER = record(
    ParameterRecord,
    field("name", TEXT), field("kind", TEXT), field("annotation", either(TEXT)), field("default", either(TEXT)),
    field("required", FLAG),
)  # fmt: skip

CLASS = record(
    ClassRecord,
    field("name", TEXT), field("aliases", listed(TEXT)), field("parameters", listed(PARAMETER)),
    field("summary", either(TEXT)), maybe("has_abort_hook", FLAG), maybe("is_coroutine", FLAG),
    maybe("options", OBJECT), maybe("key_rules", OBJECT), maybe("gate", OBJECT),
)  # fmt: skip

TICK = record(
    TickRecord,
    field("tick_at", MOMENT), field("fired_at", MOMENT), field("by_hand", FLAG), field("verdict", TEXT),
    field("passed", INTEGER), field("job", either(INTEGER), "job_id"), field("standing", either(TEXT)),
    field("started_at", either(MOMENT)), field("ended_at", either(MOMENT)),
)  # fmt: skip

SCHEDULE = record(
    ScheduleRecord,
    field("name", TEXT), field("class", TEXT, "job_class"), field("arguments", OBJECT), field("queue", TEXT),
    field("expression", TEXT), field("words", either(TEXT)), field("timezone", TEXT), field("missed", TEXT),
    field("overlap", TEXT), field("jitter", NUMBER), field("undeclared_at", either(MOMENT)),
    field("paused_at", either(MOMENT)), field("paused_by", either(TEXT)), field("upcoming", listed(MOMENT)),
    field("runs", listed(TICK)),
)  # fmt: skip

PREVIEW = record(
    Preview,
    field("tick_at", MOMENT), field("schedule", TEXT), field("class", TEXT, "job_class"), field("is_paused", FLAG),
)  # fmt: skip

# Figures

ORIGIN = record(
    Origin,
    field("at", MOMENT), field("build", either(TEXT)), field("attempts_before", INTEGER), maybe("builds", listed(TEXT)),
    maybe("back_in", TEXT), maybe("quiet_in", listed(TEXT)),
)  # fmt: skip

DEPLOY = record(Deploy, field("at", MOMENT), field("build", TEXT))

GROUP = record(
    FailureGroup,
    field("group", TEXT), field("attempts", INTEGER), field("at_rest", INTEGER), field("first_at", MOMENT),
    field("last_at", MOMENT), field("ever_first_at", MOMENT), field("is_new", FLAG), field("steps", listed(INTEGER)),
    field("class", TEXT, "job_class"), field("error_type", either(TEXT)), field("error_message", either(TEXT)),
    field("frame", either(TEXT)), field("queue", TEXT), field("example", INTEGER, "example_id"),
    field("traceback", either(TEXT)), field("arguments", OBJECT), maybe("muted_until", MOMENT),
    maybe("muted_by", TEXT), maybe("outcome", TEXT), maybe("origin", ORIGIN),
)  # fmt: skip

FORECAST = record(
    Forecast,
    field("queue", TEXT), field("due", INTEGER), field("incoming_per_minute", NUMBER), field("processes", INTEGER),
    field("outlooks", listed(record(Outlook, field("processes", INTEGER), field("empty_in", either(NUMBER))))),
    field("keep_up", INTEGER), maybe("is_paused", FLAG), maybe("most", INTEGER), maybe("held_by", TEXT),
)  # fmt: skip

FAILING = record(Failing, field("groups", listed(GROUP)), maybe("more_groups", INTEGER), maybe("more_at_rest", INTEGER))

STRANDED = record(Stranded, field("worker", either(TEXT), "name"), field("jobs", INTEGER))

STOPPED = record(
    StoppedSchedule,
    field("name", TEXT), field("undeclared_at", either(MOMENT)), field("overdue_seconds", either(NUMBER)),
)  # fmt: skip

STUCK = record(
    Stuck, maybe("stranded", listed(STRANDED)), maybe("schedules", listed(STOPPED)), maybe("more_schedules", INTEGER)
)

FIGURES = record(
    Figures,
    field("name", TEXT), field("outcomes", table(INTEGER)), field("retried", INTEGER),
    field("wait_buckets", listed(INTEGER), "waits"), field("run_buckets", listed(INTEGER), "runs"),
    maybe("longest_wait", NUMBER), maybe("longest_run", NUMBER),
)  # fmt: skip

FLOW = record(
    QueueFlow,
    field("name", TEXT), field("came_in", either(INTEGER)), field("growth", either(INTEGER)),
    field("went_out", INTEGER), field("seconds", NUMBER), maybe("unfinished", INTEGER),
)  # fmt: skip

STEP = record(
    Step,
    field("at", MOMENT), field("outcomes", table(INTEGER)), field("ended", INTEGER),
    field("came_in", either(INTEGER)), maybe("run_buckets", listed(INTEGER), "runs"),
    maybe("longest_run", NUMBER),
)  # fmt: skip

PERIOD = record(
    Period,
    field("since", MOMENT), field("until", MOMENT), field("step_seconds", NUMBER), field("total", FIGURES),
    field("queues", listed(FIGURES)), field("classes", listed(FIGURES)), field("flows", listed(FLOW)),
    field("steps", listed(STEP)), maybe("deploys", listed(DEPLOY)),
)  # fmt: skip

STATS = record(
    Stats,
    field("scheduled", INTEGER), field("pending", INTEGER), field("running", INTEGER),
    field("outcomes", table(INTEGER)), field("queues", listed(QUEUE)), field("workers", listed(WORKER)),
    field("unknown_classes", listed(UNKNOWN_CLASS)), field("estimated", listed(TEXT)), field("at", MOMENT),
    maybe("finished", table(INTEGER)), maybe("gates", listed(GATE)), maybe("gated", INTEGER),
)  # fmt: skip

SNAPSHOT = record(
    Snapshot,
    field("stats", STATS), field("running", listed(JOB)), field("failing", FAILING), field("period", PERIOD),
    field("seconds", NUMBER), maybe("forbidden", table(TEXT)), maybe("stuck", STUCK),
    maybe("forecasts", listed(FORECAST)), maybe("undo_off", TEXT),
)  # fmt: skip

# Questions


IDS = Kind(lambda jobs: [job.id for job in jobs], JSON.read)
"""Jobs in a question."""

QUERY = Kind(
    lambda query: {"name": query.view.name, "filter": query.text} | ({"order": query.order} if query.order else {}),
    JSON.read,
)
"""A requested list. The meaning of a filter is internal to the source, and is not written."""


@dataclass(frozen=True, slots=True)
class Question:
    """The arguments of a question, in order, and the kind of its answer."""

    about: tuple[Field, ...]
    answer: Kind

    def about_what(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """The arguments of one question, as they are written."""
        given = dict(zip((part.attribute for part in self.about), arguments, strict=False)) | options
        return {part.name: part.kind.write(given[part.attribute]) for part in self.about}


def question(answer: Kind, *about: Field) -> Question:
    return Question(about, answer)


QUESTIONS = {
    "look": question(SNAPSHOT),  # its period is in the answer
    "jobs": question(PAGE, field("list", QUERY, "query"), field("limit", INTEGER), field("after", either(POSITION))),
    "matches": question(MATCHES, field("list", QUERY, "query")),
    "among": question(listed(JOB), field("list", QUERY, "query"), field("jobs", IDS)),
    "job": question(DETAIL, field("id", INTEGER, "job_id")),
    "classes": question(listed(CLASS)),
    "gate": question(GATED, field("name", TEXT)),
    "failures": question(listed(GROUP), field("seconds", NUMBER)),
    "why": question(WHY, field("id", INTEGER, "job_id")),
    "audit": question(listed(ACT)),
    "acts_on": question(ACTS, field("id", INTEGER, "job_id"), field("since", MOMENT)),
    "schedules": question(listed(SCHEDULE)),
    "preview": question(listed(PREVIEW), field("hours", NUMBER)),
    "log": question(LOG, field("id", INTEGER, "job_id"), field("attempt", either(INTEGER))),
    "stack": question(STACK, field("id", INTEGER, "job_id")),
}
"""By the names of the source's methods. The effects of acts appear in later reads."""
