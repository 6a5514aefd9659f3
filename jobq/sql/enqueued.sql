-- Every unfinished job as an assertion of a test sees it. The delay is from when it was enqueued to when it is due.
SELECT
    id, job_class, queue, priority, state, unique_key, arguments::text,
    extract(epoch FROM greatest(run_at - enqueued_at, interval '0'))::float8 AS delay_seconds
FROM {schema}.jobs
ORDER BY id
