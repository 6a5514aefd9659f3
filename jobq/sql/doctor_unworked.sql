-- Queues that hold pending jobs: whether somebody paused them, and how many live workers work them.
WITH RECURSIVE step AS (
    (
        SELECT queue FROM {schema}.jobs WHERE state = 'pending' ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM step
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE state = 'pending' AND queue > step.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
)
SELECT
    step.queue, queues.paused_at, queues.paused_by,
    (
        SELECT count(*)
        FROM {schema}.workers
        WHERE stopped_at IS NULL AND (workers.queues = '{}' OR step.queue = ANY (workers.queues))
    ) AS workers,
    (
        SELECT count(*)
        FROM (SELECT FROM {schema}.jobs WHERE state = 'pending' AND queue = step.queue LIMIT %(limit)s) AS counted
    ) AS pending
FROM step
LEFT JOIN {schema}.queues ON queues.name = step.queue
ORDER BY step.queue
