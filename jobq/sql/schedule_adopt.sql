-- Keeps schedules as they are declared now. Their next ticks were calculated outside, from an expression, a zone and what
-- was kept: where any of these has changed in the meantime, or somebody has the row locked, nothing is done to that schedule,
-- and the next survey sees to it. A new one that another worker is about to keep is waited for.
WITH given AS MATERIALIZED (
    SELECT *
    FROM unnest(
        %(names)s::text[], %(expressions)s::text[], %(timezones)s::text[], %(next_ats)s::timestamptz[],
        %(seen_next_ats)s::timestamptz[]
    ) AS given (name, expression, timezone, next_at, seen_next_at)
), declared AS MATERIALIZED (
    {youngest_declarations}
), kept AS MATERIALIZED (
    SELECT schedules.name
    FROM given
    JOIN {schema}.schedules ON schedules.name = given.name
    WHERE schedules.next_at IS NOT DISTINCT FROM given.seen_next_at
    FOR UPDATE OF schedules SKIP LOCKED
)
INSERT INTO {schema}.schedules
    (name, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, key_rules, expression,
     timezone, missed, overlap, jitter, next_at, gate, lane)
SELECT
    declared.name, declared.job_class, declared.arguments, declared.queue, declared.priority, declared.retries,
    declared.unique_key, declared.timeout, coalesce(declared.has_abort_hook, false), declared.key_rules,
    declared.expression, declared.timezone, declared.missed, declared.overlap, declared.jitter, given.next_at,
    declared.gate, declared.lane
FROM given
JOIN declared USING (name, expression, timezone)
WHERE EXISTS (SELECT FROM kept WHERE kept.name = given.name)
    OR NOT EXISTS (SELECT FROM {schema}.schedules WHERE schedules.name = given.name)
ORDER BY declared.name COLLATE "C"
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
    undeclared_at = NULL,
    gate = excluded.gate,
    lane = excluded.lane
WHERE EXISTS (SELECT FROM kept WHERE kept.name = schedules.name)
RETURNING name
