-- Those of the queues that never held a job, as far as is known, and that no class of a live worker names. Figures of
-- what ended are kept as long as the history. Of scheduled jobs, which no index has by queue, the first are looked at.
SELECT name
FROM unnest(%(names)s::text[]) AS given (name)
WHERE NOT EXISTS (SELECT FROM {schema}.jobs WHERE is_due AND queue = name)
    AND NOT EXISTS (SELECT FROM {schema}.queues WHERE queues.name = given.name)
    AND NOT EXISTS (SELECT FROM {schema}.metrics WHERE queue = name)
    AND NOT EXISTS (SELECT FROM {schema}.folded_metrics WHERE queue = name)
    AND NOT EXISTS (SELECT FROM {schema}.schedules WHERE queue = name)
    AND NOT EXISTS (
        SELECT FROM (SELECT queue FROM {schema}.jobs WHERE NOT is_due LIMIT 10000) AS scheduled WHERE queue = name
    )
    AND NOT EXISTS (
        SELECT
        FROM {schema}.workers
        CROSS JOIN LATERAL jsonb_array_elements(workers.classes) AS class
        WHERE workers.stopped_at IS NULL AND coalesce(class -> 'options' ->> 'queue', 'default') = name
    )
ORDER BY name
