-- Has jobs that an act put before a gate do without it again, where they have not started since.
WITH taken AS (
    DELETE FROM {schema}.kept WHERE act = %(act)s AND id = ANY (%(ids)s::bigint[]) RETURNING id, attempt
), chosen AS MATERIALIZED (
    SELECT jobs.id
    FROM {schema}.jobs
    JOIN taken ON taken.id = jobs.id AND taken.attempt = jobs.attempt
    WHERE jobs.worker_id IS NULL AND jobs.gate IS NOT NULL
    ORDER BY jobs.id
    FOR UPDATE OF jobs
), undone AS (
    UPDATE {schema}.jobs
    SET gate = NULL, lane = NULL, is_due = coalesce(is_due, true)
    FROM chosen
    WHERE jobs.id = chosen.id
    RETURNING jobs.id, jobs.queue
), told AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM (SELECT DISTINCT queue::text FROM undone) AS touched
    WHERE pg_notification_queue_usage() < 0.9
)
SELECT id, (SELECT count(*) FROM told) AS told FROM undone
