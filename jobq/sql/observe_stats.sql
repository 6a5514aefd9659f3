-- One row a queue that holds something or that an operator has touched, each count taken no further than the limit: the
-- index jobs_due gives the queues by single steps, and one queue's jobs in order. Those that run are in it too, and are
-- subtracted: to leave them out one by one, each row would have to be read. What runs through a gate is not in it.
WITH RECURSIVE pending_queue AS (
    (
        SELECT queue FROM {schema}.jobs WHERE {pending} ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM pending_queue
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE {pending} AND queue > pending_queue.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
), running AS (
    SELECT queue, count(*) AS jobs, count(*) FILTER (WHERE is_due) AS due FROM {schema}.jobs WHERE {running} GROUP BY queue
), scheduled AS (
    SELECT queue, count(*) AS jobs
    FROM (SELECT queue FROM {schema}.jobs WHERE NOT is_due LIMIT %(limit)s) AS counted
    GROUP BY queue
), known AS (
    SELECT queue AS name FROM pending_queue
    UNION
    SELECT queue FROM running
    UNION
    SELECT queue FROM scheduled
    UNION
    SELECT name FROM {schema}.queues
)
SELECT
    known.name,
    pending.jobs AS pending,
    coalesce(running.jobs, 0) AS running,
    coalesce(scheduled.jobs, 0) AS scheduled,
    oldest.seconds AS oldest_seconds,
    coalesce(queues.paused_at IS NOT NULL, false) AS paused,
    queues.paused_at, queues.paused_by, queues.pause_reason
FROM known
LEFT JOIN running ON running.queue = known.name
LEFT JOIN scheduled ON scheduled.queue = known.name
LEFT JOIN {schema}.queues ON queues.name = known.name
CROSS JOIN LATERAL (
    SELECT greatest(count(*) - coalesce(running.due, 0), 0) AS jobs
    FROM (
        SELECT FROM {schema}.jobs WHERE is_due AND queue = known.name LIMIT %(limit)s + coalesce(running.due, 0)
    ) AS counted
) AS pending
CROSS JOIN LATERAL (
    -- The oldest among those that are next: an exact answer would read the whole queue.
    SELECT
        CASE
            WHEN count(*) > 0 THEN greatest(extract(epoch FROM statement_timestamp() - min(run_at)), 0)::float8
        END AS seconds
    FROM (
        SELECT run_at
        FROM {schema}.jobs
        WHERE {pending} AND queue = known.name
        ORDER BY -priority, id
        LIMIT 1000
    ) AS front
) AS oldest
ORDER BY known.name
