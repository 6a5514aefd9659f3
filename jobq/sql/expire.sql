-- Ends jobs that were not started by the time they were to be: as cancelled, and as the attempt that never began.
-- SKIP LOCKED: any worker does it for all queues. Says too when the next one expires.
WITH ended AS (
    DELETE FROM {schema}.jobs
    WHERE id IN (
        SELECT id
        FROM {schema}.jobs
        WHERE expires_at <= statement_timestamp() AND worker_id IS NULL
        ORDER BY expires_at
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING *, 'cancelled (expired): it had not started within its time'::text AS error_message
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, enqueued_at, run_at, retries, priority, retried, outcome,
         queue, job_class, arguments, unique_key, source, trace_context, error_type, error_message,
         timeout, has_abort_hook, gate, lane)
    SELECT
        id, least(attempt, 2147483646) + 1, statement_timestamp(), enqueued_at, run_at, retries, priority, false, 'cancelled',
        queue, job_class, arguments, unique_key, source, trace_context, 'Expired', error_message,
        timeout, has_abort_hook, gate, lane
    FROM ended
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, least(attempt, 2147483646) + 1, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(told)
            FROM (
                SELECT
                    least(ended.attempt, 2147483646) + 1 AS attempt, 'cancelled' AS outcome, false AS retried,
                    statement_timestamp() AS ended_at, 'Expired' AS error_type, error_message
            ) AS told
        )
    FROM ended
    WHERE has_abort_hook
)
SELECT
    (SELECT count(*) FROM ended) AS expired,
    (SELECT count(*) FROM ended WHERE has_abort_hook) AS owed,
    (
        SELECT extract(epoch FROM expires_at - statement_timestamp())::float8
        FROM {schema}.jobs
        WHERE expires_at > statement_timestamp()
        ORDER BY expires_at
        LIMIT 1
    ) AS next_expiry_seconds,
    date_bin('1 minute', statement_timestamp(), to_timestamp(0)) AS minute,
    (
        SELECT coalesce(array_agg(ARRAY[counted.queue::text, counted.job_class::text, counted.jobs]), '{}')
        FROM (SELECT queue, job_class, count(*)::text AS jobs FROM ended GROUP BY queue, job_class) AS counted
    ) AS counts
