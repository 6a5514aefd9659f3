-- From now on nothing is claimed from these queues; who had paused one before stays named. Workers are told, so that they
-- give back what they have claimed of them and not started.
WITH paused AS (
    INSERT INTO {schema}.queues (name, paused_at, paused_by, pause_reason)
    SELECT name, statement_timestamp(), %(paused_by)s, %(reason)s
    FROM unnest(%(queues)s::text[]) AS named (name)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE
    SET paused_at = excluded.paused_at, paused_by = excluded.paused_by, pause_reason = excluded.pause_reason
    WHERE queues.paused_at IS NULL
    RETURNING name
), told AS (
    SELECT pg_notify(%(channel)s, '') WHERE EXISTS (SELECT FROM paused) AND pg_notification_queue_usage() < 0.9
)
SELECT name, (SELECT count(*) FROM told) AS told FROM paused ORDER BY name
