-- A page of unfinished jobs, newest first, by key: the next page begins below the last id of this one.
-- The condition is what the filter means. The history is asked only about jobs of which an attempt has ended: a condition of
-- the join itself would be looked at when its partitions have been searched.
SELECT
    jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt, jobs.retries,
    jobs.unique_key, {schema}.readable(jobs.arguments, 16384) AS arguments,
    jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at,
    failed.error_type, left(failed.error_message, 10000) AS error_message,
    {worker_name} AS worker, left(jobs.source, 1000) AS source,
    jobs.timeout, jobs.expires_at, jobs.cancel_requested_at, jobs.cancel_requested_by,
    CASE WHEN jobs.state = 'running' THEN {schema}.readable(jobs.progress, 16384) END AS progress,
    jobs.gate::text AS gate, jobs.lane::text AS lane
FROM (
    SELECT *
    FROM {schema}.jobs
    WHERE (%(below)s::bigint IS NULL OR id < %(below)s::bigint)
        AND {condition}
    ORDER BY id DESC
    LIMIT %(limit)s::bigint
) AS jobs
LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
LEFT JOIN LATERAL (
    SELECT error_type, error_message
    FROM {schema}.results
    WHERE results.id = jobs.id
        AND error_type IS NOT NULL
        AND jobs.attempt > CASE WHEN jobs.state = 'running' THEN 1 ELSE 0 END
    ORDER BY attempt DESC
    LIMIT 1
) AS failed ON true
ORDER BY jobs.id DESC
