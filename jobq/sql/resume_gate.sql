-- Lets jobs start through a gate again, and wakes workers for them. How it was paused is kept with the act, for its undo.
WITH was AS MATERIALIZED (
    SELECT gates.*
    FROM {schema}.gates
    WHERE name = %(gate)s AND paused_at IS NOT NULL AND coalesce(paused_until > statement_timestamp(), true)
    FOR UPDATE
), resumed AS (
    UPDATE {schema}.gates
    SET paused_at = NULL, paused_until = NULL, paused_by = NULL, pause_reason = NULL
    FROM was
    WHERE gates.name = was.name
    RETURNING gates.name
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row) SELECT %(act)s, 0, 0, to_jsonb(was) FROM was
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM resumed
