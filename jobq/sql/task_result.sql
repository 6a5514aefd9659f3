-- A job with all its attempts, as one text of JSON: whatever driver the caller's connection has, reads text.
-- The job as it stands is its row in the table of jobs while it is unfinished, else its last attempt.
WITH found AS (
    SELECT
        jobs.id, jobs.job_class, jobs.queue, jobs.priority, jobs.state, NULL AS outcome, jobs.attempt,
        {schema}.readable(jobs.arguments, 67108864) AS arguments, jobs.enqueued_at, jobs.run_at, jobs.started_at, NULL::timestamptz AS ended_at,
        {worker_name} AS worker
    FROM {schema}.jobs
    LEFT JOIN {schema}.workers ON workers.id = jobs.worker_id
    WHERE jobs.id = %(id)s::bigint
    UNION ALL
    (
        SELECT
            id, job_class, queue, priority, 'finished', outcome, attempt,
            {schema}.readable(arguments, 67108864), enqueued_at, run_at, NULL, ended_at,
            NULL
        FROM {schema}.results
        WHERE id = %(id)s::bigint AND NOT retried
        ORDER BY attempt DESC
        LIMIT 1
    )
    LIMIT 1
), attempts AS (
    SELECT
        jsonb_build_object(
            'attempt', results.attempt, 'outcome', results.outcome, 'run_at', results.run_at,
            'started_at', results.started_at, 'ended_at', results.ended_at,
            'worker', coalesce({worker_name}, results.worker_id::text),
            'error_type', results.error_type, 'error_message', left(results.error_message, 10000),
            'traceback', left(results.traceback, 1000000), 'value', {schema}.readable(results.value, 67108864)
        ) AS attempt
    FROM {schema}.results
    LEFT JOIN {schema}.workers ON workers.id = results.worker_id
    WHERE results.id = %(id)s::bigint
    ORDER BY results.attempt, results.ended_at
)
SELECT jsonb_build_object(
    'job', to_jsonb(found) || jsonb_build_object('arguments', found.arguments::text),
    'attempts', coalesce((SELECT jsonb_agg(attempt) FROM attempts), '[]')
)::text
FROM found
