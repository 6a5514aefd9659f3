-- A page of unfinished jobs, newest first, by key: the next page begins below the last id of this one.
-- A condition whose parameter is NULL does not apply.
SELECT
    jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt, jobs.retries,
    jobs.unique_key, jobs.arguments, jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at,
    failed.error_type, failed.error_message, workers.host || '/' || workers.pid AS worker, jobs.source,
    jobs.timeout, jobs.expires_at, jobs.cancel_requested_at, jobs.cancel_requested_by,
    CASE WHEN jobs.state = 'running' THEN jobs.progress END AS progress
FROM (
    SELECT *
    FROM {schema}.jobs
    WHERE (%(state)s::text IS NULL OR state = %(state)s)
        AND (%(below)s::bigint IS NULL OR id < %(below)s)
        AND (%(queue)s::text IS NULL OR queue = %(queue)s)
        AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
        AND (%(unique_key)s::text IS NULL OR unique_key = %(unique_key)s)
        AND (%(since)s::timestamptz IS NULL OR enqueued_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR enqueued_at < %(until)s)
        AND (
            %(error)s::text IS NULL
            OR EXISTS (
                SELECT FROM {schema}.results
                WHERE results.id = jobs.id
                    AND (results.error_type ILIKE %(error)s OR results.error_message ILIKE %(error)s)
            )
        )
    ORDER BY id DESC
    LIMIT %(limit)s
) AS jobs
LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
LEFT JOIN LATERAL (
    SELECT error_type, error_message
    FROM {schema}.results
    WHERE results.id = jobs.id AND error_type IS NOT NULL
    ORDER BY attempt DESC
    LIMIT 1
) AS failed ON jobs.attempt > 0
ORDER BY jobs.id DESC
