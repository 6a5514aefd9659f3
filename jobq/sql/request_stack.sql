-- Asks the worker that has a running job what the job is doing. With an attempt: only while that one runs.
WITH requested AS (
    INSERT INTO {schema}.stacks (job_id, attempt, worker_id)
    SELECT id, attempt, worker_id
    FROM {schema}.jobs
    WHERE id = %(job_id)s AND worker_id IS NOT NULL AND attempt = coalesce(%(attempt)s::integer, attempt)
    RETURNING id, attempt, worker_id
)
SELECT
    requested.id, requested.attempt, {worker_name} AS worker,
    CASE
        WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, requested.worker_id::text)
    END IS NOT NULL AS told
FROM requested
LEFT JOIN {schema}.workers ON workers.id = requested.worker_id
