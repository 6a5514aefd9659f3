-- Resumes the queues that an act paused; one that was paused again since stays paused.
UPDATE {schema}.queues
SET paused_at = NULL, paused_by = NULL, pause_reason = NULL
FROM {schema}.audit
WHERE audit.id = %(act)s
    AND queues.name = ANY (audit.names)
    AND queues.paused_at <= audit.ended_at
RETURNING
    queues.name,
    CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, queues.name) END IS NOT NULL AS told
