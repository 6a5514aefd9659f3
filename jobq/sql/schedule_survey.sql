-- What live workers declare, where it differs from what is kept. Of several declarations of one name the youngest counts:
-- in a rolling deploy that is the new code's, whoever asks, so old and new workers never undo each other's work. Of workers
-- that declare the same one is read.
WITH declared AS (
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
        missed text, overlap text, jitter float8
    )
    ORDER BY entry.name, told.schedules_at DESC, told.id DESC
)
SELECT
    declared.name, declared.expression, declared.timezone, kept.expression, kept.timezone, kept.next_at, kept.last_at,
    statement_timestamp()
FROM declared
LEFT JOIN {schema}.schedules AS kept ON kept.name = declared.name
WHERE kept.name IS NULL
    OR kept.undeclared_at IS NOT NULL
    OR kept.next_at IS NULL
    OR (
        declared.job_class, declared.arguments, declared.queue, declared.priority, declared.retries,
        declared.unique_key, declared.timeout, coalesce(declared.has_abort_hook, false), declared.key_rules,
        declared.expression, declared.timezone, declared.missed, declared.overlap, declared.jitter
    ) IS DISTINCT FROM (
        kept.job_class, kept.arguments, kept.queue, kept.priority, kept.retries,
        kept.unique_key, kept.timeout, kept.has_abort_hook, kept.key_rules, kept.expression, kept.timezone, kept.missed, kept.overlap, kept.jitter
    )
ORDER BY declared.name
