-- The queues in which something is pending, but for those that are given: one step of the index jobs_pending a queue,
-- however many jobs wait in each. Of a queue that is known nothing is read at all: a step into it would wade through
-- whatever an open transaction elsewhere keeps from being vacuumed. So the steps go from each known queue to the next.
WITH RECURSIVE gap AS (
    SELECT after, lead(after) OVER (ORDER BY after) AS until
    FROM (SELECT '' UNION SELECT unnest(%(known)s::text[])) AS bound (after)
), step AS (
    SELECT after AS queue, until, false AS is_pending
    FROM gap
    UNION ALL
    SELECT following.queue, step.until, true
    FROM step
    CROSS JOIN LATERAL (
        (
            SELECT queue
            FROM {schema}.jobs
            WHERE state = 'pending' AND queue > step.queue AND queue < step.until
            ORDER BY queue, -priority, id
            LIMIT 1
        )
        UNION ALL
        (
            SELECT queue
            FROM {schema}.jobs
            WHERE state = 'pending' AND queue > step.queue AND step.until IS NULL
            ORDER BY queue, -priority, id
            LIMIT 1
        )
    ) AS following
)
SELECT queue FROM step WHERE is_pending
