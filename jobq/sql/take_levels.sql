-- Counts what each queue holds, once a minute for all workers, each queue no further than the limit. Whoever holds the lock
-- does it, and only where this minute has no rows yet. One index gives the due jobs of a queue, those that run too;
-- the scheduled ones have no index by queue and are counted together, and so are those at gates.
WITH RECURSIVE mine AS MATERIALIZED (
    SELECT date_bin('1 minute', statement_timestamp(), to_timestamp(0)) AS minute
    WHERE pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0))
        AND NOT EXISTS (
            SELECT FROM {schema}.levels
            WHERE minute = date_bin('1 minute', statement_timestamp(), to_timestamp(0))
        )
), due_queue AS (
    (
        SELECT queue FROM {schema}.jobs WHERE is_due AND EXISTS (SELECT FROM mine)
        ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM due_queue
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE is_due AND queue > due_queue.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
), due AS (
    SELECT due_queue.queue, counted.jobs
    FROM due_queue
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs
        FROM (
            SELECT FROM {schema}.jobs WHERE is_due AND queue = due_queue.queue LIMIT %(limit)s
        ) AS limited
    ) AS counted
), gated AS (
    SELECT queue, count(*) AS jobs
    FROM (
        SELECT queue FROM {schema}.jobs WHERE is_due IS NULL AND EXISTS (SELECT FROM mine) LIMIT %(limit)s
    ) AS limited
    GROUP BY queue
), scheduled AS (
    SELECT queue, count(*) AS jobs
    FROM (
        SELECT queue FROM {schema}.jobs WHERE NOT is_due AND EXISTS (SELECT FROM mine) LIMIT %(limit)s
    ) AS limited
    GROUP BY queue
), known AS (
    SELECT queue FROM due
    UNION
    SELECT queue FROM scheduled
    UNION
    SELECT queue FROM gated
    UNION
    SELECT DISTINCT queue
    FROM {schema}.levels
    WHERE minute >= statement_timestamp() - interval '1 hour' AND EXISTS (SELECT FROM mine)
)
INSERT INTO {schema}.levels (minute, queue, unfinished)
SELECT
    mine.minute, known.queue,
    CASE
        WHEN coalesce(due.jobs, 0) < %(limit)s AND (SELECT coalesce(sum(jobs), 0) FROM scheduled) < %(limit)s
            AND (SELECT coalesce(sum(jobs), 0) FROM gated) < %(limit)s
        THEN coalesce(due.jobs, 0) + coalesce(scheduled.jobs, 0) + coalesce(gated.jobs, 0)
    END
FROM mine
CROSS JOIN known
LEFT JOIN due ON due.queue = known.queue
LEFT JOIN scheduled ON scheduled.queue = known.queue
LEFT JOIN gated ON gated.queue = known.queue
ON CONFLICT (minute, queue) DO NOTHING
