-- Lets jobs start in a lane of a gate again; as in resume_gate.sql.
WITH was AS MATERIALIZED (
    SELECT lanes.*
    FROM {schema}.lanes
    WHERE gate = %(gate)s AND lane = %(lane)s
        AND paused_at IS NOT NULL AND coalesce(paused_until > statement_timestamp(), true)
    FOR UPDATE
), resumed AS (
    UPDATE {schema}.lanes
    SET paused_at = NULL, paused_until = NULL, paused_by = NULL, pause_reason = NULL
    FROM was
    WHERE lanes.gate = was.gate AND lanes.lane = was.lane
    RETURNING lanes.gate
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row) SELECT %(act)s, 0, 0, to_jsonb(was) FROM was
)
SELECT gate AS name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, gate) END IS NOT NULL AS told
FROM resumed
