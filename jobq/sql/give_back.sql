-- Puts claimed jobs back that have not started: that was no attempt. One whose end somebody has asked for meanwhile
-- ends as cancelled instead, as the attempt that never began.
-- Job, attempt and worker do not tell one claim from another here, for the number of the attempt is used again: where the
-- answer to this statement is lost and it is sent a second time, or comes late, the job may have been claimed anew by the
-- same worker, and be running. So the fence has the time of the claim too, in the form in which the claim returned it.
-- At a gate it waits again, and its place is free.
-- Later arguments of a job that was enqueued again meanwhile are put in place as in retry.sql.
WITH unstarted AS (
    SELECT jobs.*
    FROM {schema}.jobs
    JOIN unnest(%(ids)s::bigint[], %(attempts)s::integer[], %(waits)s::bigint[]) AS claimed (id, attempt, waited)
        ON jobs.id = claimed.id AND jobs.attempt = claimed.attempt
            AND (date_part('epoch', jobs.started_at - jobs.run_at) * 1000000)::bigint = claimed.waited
    WHERE coalesce(jobs.worker_id, 0) = %(worker_id)s
    ORDER BY jobs.id
    FOR UPDATE OF jobs
), returned AS (
    UPDATE {schema}.jobs
    SET attempt = jobs.attempt - 1,
        worker_id = NULL,
        started_at = NULL,
        begun_at = NULL,
        place = CASE WHEN jobs.attempt > 1 THEN {place_kept} END
    FROM unstarted
    WHERE jobs.id = unstarted.id AND unstarted.cancel_requested_at IS NULL
    RETURNING jobs.id, jobs.queue, jobs.gate, jobs.follow_up
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
         timeout, has_abort_hook, gate, lane)
    SELECT
        id, attempt, statement_timestamp(), enqueued_at, run_at, worker_id, retries, priority, false, 'cancelled',
        queue, job_class, arguments, unique_key, source, trace_context, 'Cancelled', error_message,
        timeout, has_abort_hook, gate, lane
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
SELECT
    id, queue, gate,
    (
        SELECT CASE WHEN count(*) > 0 THEN {schema}.follow_jobs(array_agg(id)) END
        FROM returned
        WHERE follow_up IS NOT NULL
    ) AS followed
FROM returned
