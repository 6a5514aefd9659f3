"""The statements of `jobq/sql/`, with the schema's name inserted."""

from functools import lru_cache
from importlib import resources

from jobq import histograms

BOUNDS = "'{" + ",".join(f"{bound:g}" for bound in histograms.BOUNDS) + "}'::float8[]"
"""The bounds of the histograms in seconds, for width_bucket(): one literal, which PostgreSQL reads faster than many."""


RUNNING = "worker_id IS NOT NULL AND id = ANY (ARRAY(SELECT unnest(job_ids) FROM {schema}.claims))"
"""A job runs. Found by its claim and the primary key, since no index has the columns that a claim changes.

As an array: the plan is then along that key, however wrong the statistics of a table are that turns over all the time.
"""

PENDING = "is_due AND worker_id IS NULL"
"""A job may be claimed. The index jobs_due has running jobs, too."""

SOMEBODY_WAITS = """
    EXISTS (SELECT FROM {schema}.workers WHERE waiting AND stopped_at IS NULL) AND pg_notification_queue_usage() < 0.9
""".strip()
"""Whether a notification wakes a worker, and the server's notification queue has room: a full one makes the commit
fail.

Stopped workers are excluded for the index workers_alive: thousands are kept, and each enqueue read them all.
"""

SCHEDULED = "NOT is_due AND worker_id IS NULL"

GATED = "is_due IS NULL AND gate > '' AND worker_id IS NULL"
"""A job is due, and waits at its gate."""

AT_GATE = "(is_due IS NULL OR place IS NOT NULL)"
"""A job is in the index jobs_gated."""

WAITS_AT_GATE = f"{AT_GATE} AND place IS NULL"
"""A job waits at its gate, in words that the index jobs_gated answers by itself.

Left out are jobs of a strict lane between two attempts: these keep their place.
"""

TOUCHED = "CASE WHEN gate IS NULL THEN queue END AS queue, gate"
"""Where workers have something to do: at the gate of a job, or in the queue of one without a gate."""

NOTIFY_TOUCHED = "pg_notify(CASE WHEN gate IS NULL THEN %(channel)s ELSE {gate_channel} END, coalesce(gate, queue))"
"""Tells workers of what was touched."""

PLACE_KEPT = """
    CASE WHEN jobs.place IS NOT NULL AND EXISTS (
        SELECT FROM {schema}.gates WHERE name = jobs.gate AND is_strict
    ) THEN jobs.place END
""".strip()
"""What becomes of the place of an attempt that another follows: it is free, but for a lane that keeps its order."""

LANE_ROOM = """
        SELECT
            CASE WHEN kept.paused_at IS NULL OR kept.paused_until <= statement_timestamp() THEN
                greatest(0, least(
                    9223372036854775807,
                    coalesce(
                        CASE
                            WHEN kept.set_until IS NULL OR kept.set_until > statement_timestamp()
                            THEN kept.set_max_running
                        END,
                        gate.lane_max_running
                    ) - coalesce(
                        (
                            SELECT running + CASE WHEN gate.is_strict AND following.phase < 3 THEN resting ELSE 0 END
                            FROM held
                            WHERE held.lane = following.lane
                        ),
                        0
                    ),
                    div(
                        extract(
                            epoch FROM statement_timestamp() + gate.lane_rate_burst * gate.lane_emission - used.spent_to
                        ),
                        extract(epoch FROM gate.lane_emission)
                    )
                ))::bigint
            ELSE 0 END AS jobs,
            used.spent_to
        FROM gate
        LEFT JOIN {schema}.lanes AS kept ON kept.gate = gate.name AND kept.lane = following.lane
        CROSS JOIN LATERAL (
            SELECT least(
                greatest(kept.spent_to, statement_timestamp()),
                statement_timestamp() + gate.lane_rate_burst * gate.lane_emission
                + gate.lane_rate_seconds * interval '1 second'
            ) AS spent_to
        ) AS used
""".strip()
"""How many jobs may start in a lane: by its limit, by its rate, and where nobody has paused it."""

NOTED = """
noted AS (
    INSERT INTO {schema}.claims (worker_id, job_ids)
    SELECT %(worker_id)s, array_agg(id)
    FROM chosen
    HAVING count(*) > 0
    RETURNING id
), over AS (
    DELETE FROM {schema}.claims WHERE id = ANY (%(over)s::bigint[]) AND EXISTS (SELECT FROM alive)
)
""".strip()
"""Notes the `chosen` jobs in one row of `claims`. Claims that are over lose their rows, where the worker is `alive`."""

ASSIGNMENT = """
    jobs.id, jobs.attempt, jobs.excused, jobs.losses, jobs.retries, jobs.priority,
    (date_part('epoch', jobs.enqueued_at) * 1000000)::bigint, jobs.queue, jobs.job_class,
    CASE
        WHEN pg_column_compression(jobs.arguments) IS NOT NULL THEN ''
        WHEN pg_column_size(jobs.arguments) <= 40 THEN jobs.arguments::text
        WHEN pg_column_size(jobs.arguments) <= 2000 THEN (
            SELECT CASE WHEN octet_length(text) <= 65536 THEN text ELSE '' END
            FROM (SELECT jobs.arguments::text AS text OFFSET 0) AS small
        )
        ELSE ''
    END,
    jobs.timeout, (date_part('epoch', jobs.started_at - jobs.run_at) * 1000000)::bigint,
    CASE WHEN pg_column_size(jobs.trace_context) <= 2000 AND pg_column_compression(jobs.trace_context) IS NULL THEN (
        SELECT CASE WHEN octet_length(text) <= 16384 THEN text END
        FROM (SELECT jobs.trace_context::text AS text OFFSET 0) AS small
    ) END,
    jobs.suspected, (SELECT id FROM noted)
""".strip()
"""What a claim returns of each job. Of arguments only small ones come with it: claim.sql says why."""

TAKE_CHOSEN = f"""
{NOTED}
UPDATE {{schema}}.jobs
SET attempt = least(attempt, 2147483646) + 1,
    worker_id = %(worker_id)s,
    started_at = statement_timestamp()
FROM chosen
WHERE jobs.id = chosen.id
RETURNING
    {ASSIGNMENT}
""".strip()
"""How every ordinary claim ends: notes the `chosen` jobs, and makes them the worker's, if it is `alive`."""

SET_ON_GATE = """
(
            SELECT count(*)
            FROM {schema}.kept
            LEFT JOIN {schema}.gates ON NOT kept.row ? 'lane' AND gates.name = kept.row ->> 'name'
            LEFT JOIN {schema}.lanes
                ON kept.row ? 'lane' AND lanes.gate = kept.row ->> 'gate' AND lanes.lane = kept.row ->> 'lane'
            WHERE kept.act = audit.id AND coalesce(
                CASE audit.verb
                    WHEN 'limit gate' THEN coalesce(gates.set_at, lanes.set_at)
                    ELSE coalesce(gates.paused_at, lanes.paused_at)
                END <= audit.ended_at,
                true
            )
        )
""".strip()
"""How much of an act on a gate can be taken back: the condition of undo_on_gate.sql."""

WHAT_IS_SET = """
CROSS JOIN LATERAL (
    SELECT
        kept.set_max_running IS NOT NULL AND coalesce(kept.set_until > statement_timestamp(), true) AS is_set,
        kept.paused_at IS NOT NULL AND coalesce(kept.paused_until > statement_timestamp(), true) AS is_paused
) AS set
""".strip()
"""Whether an operator's limit and an operator's pause of a gate or a lane, `kept`, hold now."""

SET_BY_OPERATORS = """
    CASE WHEN set.is_set THEN kept.set_max_running END AS set_limit,
    CASE WHEN set.is_set THEN kept.set_at END AS set_at,
    CASE WHEN set.is_set THEN kept.set_until END AS set_until,
    CASE WHEN set.is_set THEN kept.set_by END AS set_by,
    CASE WHEN set.is_set THEN kept.set_reason END AS set_reason,
    CASE WHEN set.is_paused THEN kept.paused_at END AS paused_at,
    CASE WHEN set.is_paused THEN kept.paused_until END AS paused_until,
    CASE WHEN set.is_paused THEN kept.paused_by END AS paused_by,
    CASE WHEN set.is_paused THEN kept.pause_reason END AS pause_reason
""".strip()
"""What operators have set on a gate or a lane, `kept`, as far as it holds now: see WHAT_IS_SET."""

AS_IT_WAS = """
paused_at = CASE WHEN verb = 'limit gate' THEN changed.paused_at ELSE before.paused_at END,
        paused_until = CASE WHEN verb = 'limit gate' THEN changed.paused_until ELSE before.paused_until END,
        paused_by = CASE WHEN verb = 'limit gate' THEN changed.paused_by ELSE before.paused_by END,
        pause_reason = CASE WHEN verb = 'limit gate' THEN changed.pause_reason ELSE before.pause_reason END,
        set_max_running = CASE WHEN verb = 'limit gate' THEN before.set_max_running ELSE changed.set_max_running END,
        set_at = CASE WHEN verb = 'limit gate' THEN before.set_at ELSE changed.set_at END,
        set_until = CASE WHEN verb = 'limit gate' THEN before.set_until ELSE changed.set_until END,
        set_by = CASE WHEN verb = 'limit gate' THEN before.set_by ELSE changed.set_by END,
        set_reason = CASE WHEN verb = 'limit gate' THEN before.set_reason ELSE changed.set_reason END
""".strip()
"""Brings back what an act `was` on: a gate or a lane, `changed`, as it was `before`."""

IS_AS_IT_LEFT_IT = """
coalesce(CASE WHEN verb = 'limit gate' THEN changed.set_at ELSE changed.paused_at END <= ended_at, true)
""".strip()
"""Whether nobody has set the same on this gate or lane, `changed`, since the act ended."""

ITS_BUILD_LIVES = """
EXISTS (
    SELECT
    FROM {schema}.workers
    WHERE workers.stopped_at IS NULL
        AND CASE
            WHEN waiting_retries.is_younger THEN
                (SELECT max(id) FROM {schema}.deploys WHERE deploys.build = workers.build)
                > (SELECT max(id) FROM {schema}.deploys WHERE deploys.build = waiting_retries.build)
            ELSE workers.build = waiting_retries.build
        END
)
""".strip()
"""Whether a worker lives whose build a row of `waiting_retries` waits for."""

DECLARED = """
    SELECT DISTINCT entry ->> 'name' AS name
    FROM (
        SELECT DISTINCT ON (coalesce(schedules_digest, id::text)) schedules
        FROM {schema}.workers
        WHERE stopped_at IS NULL
        ORDER BY coalesce(schedules_digest, id::text)
    ) AS told
    CROSS JOIN LATERAL jsonb_array_elements(told.schedules) AS entry
""".strip()
"""The names of the schedules that live workers declare. Of workers with equal declarations, one is read."""

YOUNGEST_DECLARATIONS = """
    SELECT DISTINCT ON (entry.name) entry.*
    FROM (
        SELECT DISTINCT ON (coalesce(schedules_digest, id::text)) id, schedules, schedules_at
        FROM {schema}.workers
        WHERE stopped_at IS NULL AND schedules_at IS NOT NULL
        ORDER BY coalesce(schedules_digest, id::text), schedules_at DESC, id DESC
    ) AS told
    CROSS JOIN LATERAL jsonb_to_recordset(told.schedules) AS entry (
        name text, job_class text, arguments jsonb, queue text, priority smallint, retries integer, unique_key text,
        timeout real, has_abort_hook boolean, key_rules jsonb, expression text, timezone text,
        missed text, overlap text, jitter float8, gate text, lane text
    )
    ORDER BY entry.name, told.schedules_at DESC, told.id DESC
""".strip()
"""The declarations of live workers. Of several declarations of one name the youngest counts.

In a rolling deploy that is the new code's, on every worker, so old and new workers never undo each other's work.
"""

NAME = "WORKERS.host || '/' || WORKERS.pid || CASE WHEN WORKERS.has_namesake THEN '#' || WORKERS.id ELSE '' END"
"""A worker's name: host/pid, with its id if another worker of this host and pid was alive at the same time."""


def worker_name(table: str = "workers") -> str:
    """The name of a worker in a statement, where the table of workers has this name."""
    return NAME.replace("WORKERS", table)


CLOCK = "statement_timestamp()"
"""How statements read the time: always the database's, and never the transaction's begin."""

PARTS = {
    "running": RUNNING,
    "pending": PENDING,
    "at_gate": AT_GATE,
    "waits_at_gate": WAITS_AT_GATE,
    "set_on_gate": SET_ON_GATE,
    "somebody_waits": SOMEBODY_WAITS,
    "take_chosen": TAKE_CHOSEN,
    "noted": NOTED,
    "what_is_set": WHAT_IS_SET,
    "set_by_operators": SET_BY_OPERATORS,
    "as_it_was": AS_IT_WAS,
    "is_as_it_left_it": IS_AS_IT_LEFT_IT,
    "its_build_lives": ITS_BUILD_LIVES,
    "lane_room": LANE_ROOM,
    "assignment": ASSIGNMENT,
    "touched": TOUCHED,
    "notify_touched": NOTIFY_TOUCHED,
    "place_kept": PLACE_KEPT,
    "declared": DECLARED,
    "youngest_declarations": YOUNGEST_DECLARATIONS,
    "worker_name": worker_name(),
    "owner_name": worker_name("owner"),
}
"""Parts that several statements share, by their names there."""

_clock = CLOCK


def read_time_from(expression: str | None) -> None:
    """Makes every statement read the time from this expression from now on. None: PostgreSQL's clock again. For
    tests."""
    global _clock
    _clock = CLOCK if expression is None else expression
    statement.cache_clear()


def quote_identifier(name: str) -> str:
    """A schema's or table's name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Text as an SQL literal, for any characters and any setting of standard_conforming_strings."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@lru_cache(maxsize=256)
def statement(name: str, schema: str) -> bytes:
    """The statement in `jobq/sql/{name}.sql`, for execution with parameters."""
    text = resources.files("jobq.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    for name_of_part, part in PARTS.items():
        text = text.replace(f"{{{name_of_part}}}", part)
    text = text.replace(CLOCK, _clock)
    # A percent sign in the schema's name would be read as a placeholder. The bounds of the histograms are a constant of
    # the plan: as a parameter they would be read each time, which takes longer than the rest of the counting.
    text = text.replace("{bounds}", BOUNDS).replace("{schema}", quote_identifier(schema).replace("%", "%%"))
    return text.replace("{gate_channel}", quote_literal(gate_channel(schema)).replace("%", "%%")).encode()


def filtered(name: str, schema: str, condition: str) -> bytes:
    """A statement with a condition inserted: our own text, in which values are placeholders."""
    own = condition.replace(CLOCK, _clock.replace("{schema}", quote_identifier(schema).replace("%", "%%")))
    return statement(name, schema).replace(b"{condition}", own.encode())


def with_rows(name: str, rows: bytes) -> bytes:
    """A statement over the rows of another, whose text is inserted."""
    return statement(name, "").replace(b"{rows}", rows)


def migration_texts(schema: str) -> list[tuple[int, str, str]]:
    """Every migration in order: its number, its name, its SQL for execution without parameters."""
    files = [entry for entry in resources.files("jobq.sql.migrations").iterdir() if entry.name.endswith(".sql")]
    return [
        (
            int(entry.name[:4]),
            entry.name.removesuffix(".sql"),
            entry.read_text(encoding="utf-8")
            .replace("{schema}", quote_identifier(schema))
            .replace("{schema_name}", quote_literal(schema))
            .replace("{channel}", quote_literal(channel(schema)))
            .replace("{control_channel}", quote_literal(control_channel(schema)))
            .replace("{gate_channel}", quote_literal(gate_channel(schema))),
        )
        for entry in sorted(files, key=lambda entry: entry.name)
    ]


def channel(schema: str) -> str:
    """The NOTIFY channel of a schema. Its payload is the queue in which there is work.

    PostgreSQL limits a channel's name to 63 bytes, like a schema's. A long name ends with a hash.
    """
    return channel_name(f"jobq:{schema}", schema)


def worker_channel(schema: str) -> str:
    """The prefix of the NOTIFY channels of single workers; a worker's id follows. The payload is a job that was
    enqueued, the worker's place among those that are told, the job's queue and its class, as a JSON list."""
    return channel_name(f"jobq-worker:{schema}:", schema, longest=43)


def gate_channel(schema: str) -> str:
    """The NOTIFY channel of gates; its payload is the gate at which a job waits, or a place was freed."""
    return channel_name(f"jobq-gate:{schema}", schema)


def control_channel(schema: str) -> str:
    """The NOTIFY channel for operators' requests. Its payload is the worker that is meant, or empty for all.

    A channel of its own: workers of earlier releases read every payload of the other one as a queue's name.
    """
    return channel_name(f"jobq-control:{schema}", schema)


def channel_name(name: str, schema: str, *, longest: int = 63) -> str:
    if len(name.encode()) <= longest:
        return name
    from hashlib import sha256

    return f"{name.partition(':')[0]}:{sha256(schema.encode()).hexdigest()[: min(40, longest - 15)]}"
