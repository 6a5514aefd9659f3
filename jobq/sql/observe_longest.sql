-- The running jobs that have run the longest. All that run are read, by their claims: workers run few at a time.
-- What was claimed and waits in its worker counts as running too, since its claim.
SELECT
    jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt, jobs.retries,
    jobs.unique_key, jobs.arguments, jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at,
    NULL AS error_type, NULL AS error_message, {worker_name} AS worker, jobs.source,
    jobs.timeout, jobs.expires_at, jobs.cancel_requested_at, jobs.cancel_requested_by, jobs.progress,
    jobs.gate::text AS gate, jobs.lane::text AS lane
FROM (
    SELECT *
    FROM {schema}.jobs
    WHERE {running}
    ORDER BY started_at NULLS LAST, id
    LIMIT %(limit)s::bigint
) AS jobs
LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
ORDER BY jobs.started_at NULLS LAST, jobs.id
