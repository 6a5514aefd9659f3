-- One job as in observe_job.sql, without what belongs to others: for a role that may see how a job stands, not its
-- arguments, its key, or who runs it.
SELECT
    jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt, jobs.retries,
    jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at, failed.error_type,
    jobs.timeout, jobs.expires_at, jobs.cancel_requested_at,
    CASE WHEN jobs.state = 'running' THEN jobs.progress END AS progress
FROM {schema}.jobs
LEFT JOIN LATERAL (
    SELECT error_type
    FROM {schema}.results
    WHERE results.id = jobs.id AND error_type IS NOT NULL
    ORDER BY attempt DESC
    LIMIT 1
) AS failed ON true
WHERE jobs.id = %(id)s::bigint
UNION ALL
(
    SELECT
        results.id, results.job_class, results.queue, results.priority, 'finished', results.outcome, results.attempt,
        results.retries, results.enqueued_at, results.run_at, results.started_at, results.ended_at, results.error_type,
        results.timeout, NULL, NULL, NULL
    FROM {schema}.results
    WHERE results.id = %(id)s::bigint AND NOT results.retried
    ORDER BY results.attempt DESC
    LIMIT 1
)
LIMIT 1
