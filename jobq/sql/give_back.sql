-- Puts claimed jobs back that have not started: that was no attempt. One whose end somebody has asked for meanwhile
-- ends as cancelled instead, as the attempt that never began.
WITH unstarted AS (
    SELECT jobs.*
    FROM {schema}.jobs
    JOIN unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS claimed (id, attempt)
        ON jobs.id = claimed.id AND jobs.attempt = claimed.attempt
    WHERE coalesce(jobs.worker_id, 0) = %(worker_id)s
    ORDER BY jobs.id
    FOR UPDATE OF jobs
), returned AS (
    UPDATE {schema}.jobs
    SET state = 'pending',
        attempt = jobs.attempt - 1,
        worker_id = NULL,
        started_at = NULL
    FROM unstarted
    WHERE jobs.id = unstarted.id AND unstarted.cancel_requested_at IS NULL
    RETURNING jobs.id, jobs.queue
), cancelled AS (
    DELETE FROM {schema}.jobs
    USING unstarted
    WHERE jobs.id = unstarted.id AND unstarted.cancel_requested_at IS NOT NULL
    RETURNING
        jobs.*, format('cancelled by %%s', jobs.cancel_requested_by) AS error_message
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, enqueued_at, run_at, worker_id, retries, priority, retried, outcome,
         queue, job_class, arguments, unique_key, source, trace_context, error_type, error_message,
         timeout, has_abort_hook)
    SELECT
        id, attempt, statement_timestamp(), enqueued_at, run_at, worker_id, retries, priority, false, 'cancelled',
        queue, job_class, arguments, unique_key, source, trace_context, 'Cancelled', error_message,
        timeout, has_abort_hook
    FROM cancelled
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, attempt, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(told)
            FROM (
                SELECT
                    attempt, 'cancelled' AS outcome, false AS retried, statement_timestamp() AS ended_at,
                    'Cancelled' AS error_type, error_message
            ) AS told
        )
    FROM cancelled
    WHERE has_abort_hook
)
SELECT id, queue FROM returned
