-- Pauses again what an act resumed, as it was: since when, by whom and why. A queue that was paused since stays as it is.
WITH paused AS (
    UPDATE {schema}.queues
    SET paused_at = was.paused_at, paused_by = was.paused_by, pause_reason = was.pause_reason
    FROM {schema}.kept
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.queues, kept.row) AS was
    WHERE kept.act = %(act)s AND queues.name = was.name AND queues.paused_at IS NULL
    RETURNING queues.name
), told AS (
    SELECT pg_notify(%(channel)s, '') WHERE EXISTS (SELECT FROM paused) AND pg_notification_queue_usage() < 0.9
)
SELECT name, (SELECT count(*) FROM told) AS told FROM paused ORDER BY name
