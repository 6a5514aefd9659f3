-- Lets queues be worked again, and wakes workers for them. How they were paused is kept with the act, for its undo.
WITH was AS (
    SELECT queues.*
    FROM {schema}.queues
    WHERE name = ANY (%(queues)s::text[]) AND paused_at IS NOT NULL
    ORDER BY name
    FOR UPDATE
), resumed AS (
    UPDATE {schema}.queues
    SET paused_at = NULL, paused_by = NULL, pause_reason = NULL
    FROM was
    WHERE queues.name = was.name
    RETURNING queues.name
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT %(act)s, 0, 0, to_jsonb(was)
    FROM was
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM resumed
ORDER BY name
