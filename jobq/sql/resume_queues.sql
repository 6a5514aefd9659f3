-- Lets queues be worked again, and wakes workers for them.
WITH resumed AS (
    UPDATE {schema}.queues
    SET paused_at = NULL, paused_by = NULL, pause_reason = NULL
    WHERE name = ANY (%(queues)s::text[]) AND paused_at IS NOT NULL
    RETURNING name
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM resumed
ORDER BY name
