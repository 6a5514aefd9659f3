-- What somebody wants of this worker: jobs that it is to stop, and jobs of which it is to say what they are doing. Only
-- running jobs have a request to stop. And the last heartbeat of each live worker, to see whether it stands still; and whether a worker has left of
-- late, so that there may be jobs to rescue: also one that left when the clock of the database was ahead. And whose lines
-- somebody follows: of a single job where it runs here.
SELECT 'stop' AS what, id, id AS job_id, attempt, cancel_requested_by AS wanted_by, NULL::float8 AS beat
FROM {schema}.jobs
WHERE worker_id = %(worker_id)s AND cancel_requested_at IS NOT NULL
UNION ALL
(
    SELECT 'stack', id, job_id, attempt, NULL, NULL
    FROM {schema}.stacks
    WHERE worker_id = %(worker_id)s AND answered_at IS NULL
    ORDER BY id
)
UNION ALL
SELECT 'live', id, NULL, NULL, NULL, extract(epoch FROM heartbeat_at)::float8
FROM {schema}.workers
WHERE stopped_at IS NULL
UNION ALL
SELECT 'left', NULL, NULL, NULL, NULL, NULL
WHERE EXISTS (
    SELECT
    FROM {schema}.workers
    WHERE stopped_at BETWEEN statement_timestamp() - interval '20 seconds' AND statement_timestamp() + interval '20 seconds'
)
UNION ALL
SELECT
    'follow', id, job_id, level, json_build_object('classes', classes, 'queues', queues)::text,
    extract(epoch FROM until - statement_timestamp())::float8
FROM {schema}.follows
WHERE until > statement_timestamp()
    AND (job_id IS NULL OR EXISTS (
        SELECT FROM {schema}.jobs WHERE jobs.id = follows.job_id AND jobs.worker_id = %(worker_id)s
    ))
