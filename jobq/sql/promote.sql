-- Makes due jobs pending, oldest first, and says when the next one is due. Any worker does it for all queues.
-- Says too when the next job expires; where that is not above 0, expire.sql has something to do.
WITH due AS (
    SELECT id
    FROM {schema}.jobs
    WHERE state = 'scheduled' AND run_at <= statement_timestamp()
    ORDER BY run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), promoted AS (
    UPDATE {schema}.jobs
    SET state = 'pending'
    FROM due
    WHERE jobs.id = due.id
    RETURNING jobs.queue
), touched AS (
    SELECT queue, count(*) AS jobs FROM promoted GROUP BY queue
), woken AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting AND id <> %(worker_id)s) AND pg_notification_queue_usage() < 0.9
)
SELECT
    coalesce((SELECT array_agg(queue) FROM touched), '{}') AS queues,
    coalesce((SELECT sum(jobs) FROM touched), 0)::integer AS promoted,
    (
        SELECT extract(epoch FROM run_at - statement_timestamp())::float8
        FROM {schema}.jobs
        WHERE state = 'scheduled' AND run_at > statement_timestamp()
        ORDER BY run_at
        LIMIT 1
    ) AS next_due_seconds,
    (
        SELECT extract(epoch FROM expires_at - statement_timestamp())::float8
        FROM {schema}.jobs
        WHERE expires_at IS NOT NULL AND state IN ('pending', 'scheduled')
        ORDER BY expires_at
        LIMIT 1
    ) AS next_expiry_seconds,
    (SELECT count(*) FROM woken) AS notified
