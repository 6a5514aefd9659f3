-- A page of finished jobs, the last to end first, by key: the next page begins below the last row of this one.
-- One row a job: its last attempt. A condition whose parameter is NULL does not apply.
SELECT
    results.id, results.job_class, results.queue, results.priority, 'finished' AS state, results.outcome,
    results.attempt, results.retries, results.unique_key, results.arguments, results.enqueued_at, results.run_at,
    results.started_at, results.ended_at, results.error_type, results.error_message,
    coalesce(workers.host || '/' || workers.pid, results.worker_id::text) AS worker, results.source,
    results.timeout
FROM (
    SELECT *
    FROM {schema}.results
    WHERE NOT retried
        AND (%(below_time)s::timestamptz IS NULL OR (ended_at, id) < (%(below_time)s, %(below)s))
        AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
        AND (%(queue)s::text IS NULL OR queue = %(queue)s)
        AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
        AND (%(unique_key)s::text IS NULL OR unique_key = %(unique_key)s)
        AND (%(since)s::timestamptz IS NULL OR ended_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR ended_at < %(until)s)
        AND (%(error)s::text IS NULL OR error_type ILIKE %(error)s OR error_message ILIKE %(error)s)
    ORDER BY ended_at DESC, id DESC
    LIMIT %(limit)s
) AS results
LEFT JOIN {schema}.workers ON workers.id = results.worker_id
ORDER BY results.ended_at DESC, results.id DESC
