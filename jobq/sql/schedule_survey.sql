-- What live workers declare, where it differs from what is kept.
WITH declared AS (
    {youngest_declarations}
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
        declared.expression, declared.timezone, declared.missed, declared.overlap, declared.jitter, declared.gate, declared.lane
    ) IS DISTINCT FROM (
        kept.job_class, kept.arguments, kept.queue, kept.priority, kept.retries,
        kept.unique_key, kept.timeout, kept.has_abort_hook, kept.key_rules,
        kept.expression, kept.timezone, kept.missed, kept.overlap, kept.jitter, kept.gate, kept.lane
    )
ORDER BY declared.name
