-- Takes back what an act set on a gate or a lane of one: what it paused, resumed or limited is as it was before. What was
-- changed again since stays. A lane is known by its field in what was kept.
WITH was AS MATERIALIZED (
    SELECT audit.verb, audit.ended_at, kept.row
    FROM {schema}.kept
    JOIN {schema}.audit ON audit.id = kept.act
    WHERE kept.act = %(act)s AND kept.row IS NOT NULL
), gate AS (
    UPDATE {schema}.gates
    SET paused_at = CASE WHEN verb = 'limit gate' THEN gates.paused_at ELSE before.paused_at END,
        paused_until = CASE WHEN verb = 'limit gate' THEN gates.paused_until ELSE before.paused_until END,
        paused_by = CASE WHEN verb = 'limit gate' THEN gates.paused_by ELSE before.paused_by END,
        pause_reason = CASE WHEN verb = 'limit gate' THEN gates.pause_reason ELSE before.pause_reason END,
        set_max_running = CASE WHEN verb = 'limit gate' THEN before.set_max_running ELSE gates.set_max_running END,
        set_at = CASE WHEN verb = 'limit gate' THEN before.set_at ELSE gates.set_at END,
        set_until = CASE WHEN verb = 'limit gate' THEN before.set_until ELSE gates.set_until END,
        set_by = CASE WHEN verb = 'limit gate' THEN before.set_by ELSE gates.set_by END,
        set_reason = CASE WHEN verb = 'limit gate' THEN before.set_reason ELSE gates.set_reason END
    FROM was
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.gates, was.row) AS before
    WHERE NOT was.row ? 'lane' AND gates.name = before.name
        AND coalesce(CASE WHEN verb = 'limit gate' THEN gates.set_at ELSE gates.paused_at END <= ended_at, true)
    RETURNING gates.name
), lane AS (
    UPDATE {schema}.lanes
    SET paused_at = CASE WHEN verb = 'limit gate' THEN lanes.paused_at ELSE before.paused_at END,
        paused_until = CASE WHEN verb = 'limit gate' THEN lanes.paused_until ELSE before.paused_until END,
        paused_by = CASE WHEN verb = 'limit gate' THEN lanes.paused_by ELSE before.paused_by END,
        pause_reason = CASE WHEN verb = 'limit gate' THEN lanes.pause_reason ELSE before.pause_reason END,
        set_max_running = CASE WHEN verb = 'limit gate' THEN before.set_max_running ELSE lanes.set_max_running END,
        set_at = CASE WHEN verb = 'limit gate' THEN before.set_at ELSE lanes.set_at END,
        set_until = CASE WHEN verb = 'limit gate' THEN before.set_until ELSE lanes.set_until END,
        set_by = CASE WHEN verb = 'limit gate' THEN before.set_by ELSE lanes.set_by END,
        set_reason = CASE WHEN verb = 'limit gate' THEN before.set_reason ELSE lanes.set_reason END
    FROM was
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.lanes, was.row) AS before
    WHERE was.row ? 'lane' AND lanes.gate = before.gate AND lanes.lane = before.lane
        AND coalesce(CASE WHEN verb = 'limit gate' THEN lanes.set_at ELSE lanes.paused_at END <= ended_at, true)
    RETURNING lanes.gate
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM (SELECT name FROM gate UNION SELECT gate FROM lane) AS undone
