-- Keeps a schedule as it is declared now. Its next tick was calculated outside, from an expression, a zone and what was
-- kept: where any of these has changed in the meantime, nothing is done, and the next survey sees to it.
WITH declared AS (
    SELECT entry.*
    FROM {schema}.workers
    CROSS JOIN LATERAL jsonb_to_recordset(workers.schedules) AS entry (
        name text, job_class text, arguments jsonb, queue text, priority smallint, retries integer, unique_key text,
        timeout real, has_abort_hook boolean, key_rules jsonb, expression text, timezone text,
        missed text, overlap text, jitter float8
    )
    WHERE workers.stopped_at IS NULL AND workers.schedules_at IS NOT NULL AND entry.name = %(name)s
    ORDER BY workers.schedules_at DESC, workers.id DESC
    LIMIT 1
)
INSERT INTO {schema}.schedules
    (name, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, key_rules, expression,
     timezone, missed, overlap, jitter, next_at)
SELECT
    name, job_class, arguments, queue, priority, retries, unique_key, timeout, coalesce(has_abort_hook, false),
    key_rules, expression, timezone, missed, overlap, jitter, %(next_at)s::timestamptz
FROM declared
WHERE expression = %(expression)s AND timezone = %(timezone)s
ON CONFLICT (name) DO UPDATE SET
    job_class = excluded.job_class,
    arguments = excluded.arguments,
    queue = excluded.queue,
    priority = excluded.priority,
    retries = excluded.retries,
    unique_key = excluded.unique_key,
    timeout = excluded.timeout,
    has_abort_hook = excluded.has_abort_hook,
    key_rules = excluded.key_rules,
    expression = excluded.expression,
    timezone = excluded.timezone,
    missed = excluded.missed,
    overlap = excluded.overlap,
    jitter = excluded.jitter,
    next_at = excluded.next_at,
    undeclared_at = NULL
WHERE schedules.next_at IS NOT DISTINCT FROM %(seen_next_at)s::timestamptz
RETURNING name
