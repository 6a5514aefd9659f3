-- Notes on running jobs that somebody wants their end, and tells the workers that have them. The first to ask is the one
-- whose name is kept; asking again tells the worker again. What ended or was given back meanwhile is no longer running.
-- They are locked in the order of ids, as by all who lock several. Where the caller says which attempt was seen, another
-- attempt is left alone.
WITH requested AS (
    UPDATE {schema}.jobs
    SET cancel_requested_at = coalesce(cancel_requested_at, statement_timestamp()),
        cancel_requested_by = CASE WHEN cancel_requested_at IS NULL THEN %(cancelled_by)s ELSE cancel_requested_by END
    FROM (
        SELECT id
        FROM {schema}.jobs
        WHERE id = ANY (%(ids)s::bigint[])
            AND worker_id IS NOT NULL
            AND coalesce((%(attempts)s::integer[])[array_position(%(ids)s::bigint[], id)], attempt) = attempt
        ORDER BY id
        FOR UPDATE
    ) AS running
    WHERE jobs.id = running.id
    RETURNING jobs.id, jobs.worker_id
), told AS (
    SELECT pg_notify(%(channel)s, worker_id::text) FROM (SELECT DISTINCT worker_id FROM requested) AS workers
    WHERE pg_notification_queue_usage() < 0.9
)
SELECT id, (SELECT count(*) FROM told) AS told FROM requested
