-- Makes due jobs pending, oldest first, and says when the next one is due. Any worker does it for all queues.
-- Says too when the next job expires; where that is not above 0, expire.sql has something to do.
-- And in which queues something was pending, but for those that are given: one step of the index jobs_due a queue,
-- however many jobs wait in each. Of a queue that is known nothing is read at all: a step into it would wade through
-- whatever an open transaction elsewhere keeps from being vacuumed. So the steps go from each known queue to the next.
WITH RECURSIVE due AS (
    SELECT id
    FROM {schema}.jobs
    WHERE NOT is_due AND run_at <= statement_timestamp()
    ORDER BY run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), promoted AS (
    UPDATE {schema}.jobs
    SET is_due = CASE WHEN gate IS NULL THEN true END
    FROM due
    WHERE jobs.id = due.id
    RETURNING jobs.queue, jobs.gate
), touched AS (
    SELECT {touched}, count(*) AS jobs FROM promoted GROUP BY 1, 2
), woken AS (
    SELECT {notify_touched}
    FROM touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting AND stopped_at IS NULL AND id <> %(worker_id)s) AND pg_notification_queue_usage() < 0.9
), gap AS (
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
            WHERE {pending} AND queue > step.queue AND queue < step.until
            ORDER BY queue, -priority, id
            LIMIT 1
        )
        UNION ALL
        (
            SELECT queue
            FROM {schema}.jobs
            WHERE {pending} AND queue > step.queue AND step.until IS NULL
            ORDER BY queue, -priority, id
            LIMIT 1
        )
    ) AS following
)
SELECT
    coalesce((SELECT array_agg(queue::text) FROM touched WHERE gate IS NULL), '{}') AS queues,
    coalesce((SELECT sum(jobs) FROM touched), 0)::integer AS promoted,
    (
        SELECT extract(epoch FROM run_at - statement_timestamp())::float8
        FROM {schema}.jobs
        WHERE NOT is_due AND run_at > statement_timestamp()
        ORDER BY run_at
        LIMIT 1
    ) AS next_due_seconds,
    (
        SELECT extract(epoch FROM expires_at - statement_timestamp())::float8
        FROM {schema}.jobs
        WHERE expires_at IS NOT NULL AND worker_id IS NULL
        ORDER BY expires_at
        LIMIT 1
    ) AS next_expiry_seconds,
    ARRAY(SELECT queue::text FROM step WHERE is_pending) AS others,
    (SELECT count(*) FROM woken) AS notified,
    EXISTS (SELECT FROM {schema}.jobs WHERE is_due IS NULL AND gate > '') AS has_gated
