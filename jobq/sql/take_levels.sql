-- Counts what each queue holds, once a minute for all workers, each queue no further than the limit. Whoever holds the lock
-- does it, and only where this minute has no rows yet. One index gives the pending jobs of a queue;
-- the scheduled ones have no index by queue and are counted together.
WITH RECURSIVE mine AS MATERIALIZED (
    SELECT date_bin('1 minute', statement_timestamp(), to_timestamp(0)) AS minute
    WHERE pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0))
        AND NOT EXISTS (
            SELECT FROM {schema}.levels
            WHERE minute = date_bin('1 minute', statement_timestamp(), to_timestamp(0))
        )
), pending_queue AS (
    (
        SELECT queue FROM {schema}.jobs WHERE state = 'pending' AND EXISTS (SELECT FROM mine)
        ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM pending_queue
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE state = 'pending' AND queue > pending_queue.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
), pending AS (
    SELECT pending_queue.queue, counted.jobs
    FROM pending_queue
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs
        FROM (
            SELECT FROM {schema}.jobs WHERE state = 'pending' AND queue = pending_queue.queue LIMIT %(limit)s
        ) AS limited
    ) AS counted
), scheduled AS (
    SELECT queue, count(*) AS jobs
    FROM (
        SELECT queue FROM {schema}.jobs WHERE state = 'scheduled' AND EXISTS (SELECT FROM mine) LIMIT %(limit)s
    ) AS limited
    GROUP BY queue
), running AS (
    SELECT queue, count(*) AS jobs
    FROM {schema}.jobs
    WHERE state = 'running' AND EXISTS (SELECT FROM mine)
    GROUP BY queue
), known AS (
    SELECT queue FROM pending
    UNION
    SELECT queue FROM scheduled
    UNION
    SELECT queue FROM running
    UNION
    SELECT DISTINCT queue
    FROM {schema}.levels
    WHERE minute >= statement_timestamp() - interval '1 hour' AND EXISTS (SELECT FROM mine)
)
INSERT INTO {schema}.levels (minute, queue, unfinished)
SELECT
    mine.minute, known.queue,
    CASE
        WHEN coalesce(pending.jobs, 0) < %(limit)s AND (SELECT coalesce(sum(jobs), 0) FROM scheduled) < %(limit)s
        THEN coalesce(pending.jobs, 0) + coalesce(scheduled.jobs, 0) + coalesce(running.jobs, 0)
    END
FROM mine
CROSS JOIN known
LEFT JOIN pending ON pending.queue = known.queue
LEFT JOIN scheduled ON scheduled.queue = known.queue
LEFT JOIN running ON running.queue = known.queue
ON CONFLICT (minute, queue) DO NOTHING
