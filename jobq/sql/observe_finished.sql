-- A page of finished jobs, the last to end first, by key: the next page begins below the last row of this one.
-- One row a job: its last attempt. The condition is what the filter means.
SELECT
    results.id, results.job_class, results.queue, results.priority, 'finished' AS state, results.outcome,
    results.attempt, results.retries, results.unique_key, {schema}.readable(results.arguments, 16384) AS arguments,
    results.enqueued_at, results.run_at,
    results.started_at, results.ended_at, results.error_type, left(results.error_message, 10000) AS error_message,
    coalesce({worker_name}, results.worker_id::text) AS worker, left(results.source, 1000) AS source,
    results.timeout, results.gate, results.lane
FROM (
    SELECT *
    FROM {schema}.results
    WHERE NOT retried
        AND (%(below_time)s::timestamptz IS NULL OR (ended_at, id) < (%(below_time)s::timestamptz, %(below)s::bigint))
        AND {condition}
    ORDER BY ended_at DESC, id DESC
    LIMIT %(limit)s::bigint
) AS results
LEFT JOIN {schema}.workers ON workers.id = results.worker_id
ORDER BY results.ended_at DESC, results.id DESC
