-- What somebody wants of this worker: jobs that it is to stop, and jobs of which it is to say what they are doing. Only
-- running jobs have a request to stop; the state is not asked, since that would let the index of all running jobs be the
-- way in. And whether a worker has fallen silent or has left of late, so that there may be jobs to rescue.
SELECT 'stop' AS what, id, id AS job_id, attempt, cancel_requested_by AS wanted_by
FROM {schema}.jobs
WHERE worker_id = %(worker_id)s AND cancel_requested_at IS NOT NULL
UNION ALL
(
    SELECT 'stack', id, job_id, attempt, NULL
    FROM {schema}.stacks
    WHERE worker_id = %(worker_id)s AND answered_at IS NULL
    ORDER BY id
)
UNION ALL
SELECT 'rescue', NULL, NULL, NULL, NULL
WHERE EXISTS (
    SELECT
    FROM {schema}.workers
    WHERE CASE
        WHEN stopped_at IS NULL THEN heartbeat_at < statement_timestamp() - %(timeout)s::float8 * interval '1 second'
        ELSE stopped_at > statement_timestamp() - interval '20 seconds'
    END
)
