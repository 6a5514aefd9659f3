-- Notes on live workers that somebody wants them to stop, and tells them. The first to ask is the one whose name is kept,
-- and asking again changes nothing: a worker that did not hear of it finds it at its next heartbeat.
WITH requested AS (
    UPDATE {schema}.workers
    SET stop_requested_at = statement_timestamp(), stop_requested_by = %(requested_by)s
    WHERE id = ANY (%(ids)s::bigint[]) AND stopped_at IS NULL AND stop_requested_at IS NULL
    RETURNING id
), told AS (
    SELECT pg_notify(%(channel)s, id::text) FROM requested WHERE pg_notification_queue_usage() < 0.9
)
SELECT id, (SELECT count(*) FROM told) AS told FROM requested ORDER BY id
