-- One job as it stands: from the table of jobs while it is unfinished, else from its last attempt.
SELECT
    jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt, jobs.retries,
    jobs.unique_key, {schema}.readable(jobs.arguments, 1048576) AS arguments,
    jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at,
    failed.error_type, left(failed.error_message, 10000) AS error_message,
    {worker_name} AS worker, left(jobs.source, 1000) AS source,
    jobs.timeout, jobs.expires_at, jobs.cancel_requested_at, jobs.cancel_requested_by,
    CASE WHEN jobs.state = 'running' THEN {schema}.readable(jobs.progress, 16384) END AS progress,
    left(jobs.trace_context ->> 'traceparent', 1000) AS traceparent, jobs.follow_up IS NOT NULL AS is_followed,
    jobs.gate::text AS gate, jobs.lane::text AS lane
FROM {schema}.jobs
LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
LEFT JOIN LATERAL (
    SELECT error_type, error_message
    FROM {schema}.results
    WHERE results.id = jobs.id AND error_type IS NOT NULL
    ORDER BY attempt DESC
    LIMIT 1
) AS failed ON true
WHERE jobs.id = %(id)s
UNION ALL
(
    SELECT
        results.id, results.job_class, results.queue, results.priority, 'finished', results.outcome, results.attempt,
        results.retries, results.unique_key, {schema}.readable(results.arguments, 1048576) AS arguments,
        results.enqueued_at, results.run_at,
        results.started_at, results.ended_at, results.error_type, left(results.error_message, 10000) AS error_message,
        coalesce({worker_name}, results.worker_id::text), left(results.source, 1000) AS source,
        results.timeout, NULL, NULL, NULL, NULL, left(results.trace_context ->> 'traceparent', 1000), false,
        results.gate, results.lane
    FROM {schema}.results
    LEFT JOIN {schema}.workers ON workers.id = results.worker_id
    WHERE results.id = %(id)s AND NOT results.retried
    ORDER BY results.attempt DESC
    LIMIT 1
)
LIMIT 1
