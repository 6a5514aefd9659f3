-- The queues in which something is pending: one step of the index jobs_pending a queue,
-- however many jobs wait in each.
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
SELECT queue FROM step
