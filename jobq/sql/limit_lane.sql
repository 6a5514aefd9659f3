-- Sets a limit for one lane of a gate, above the declared one; null takes it back. As in limit_gate.sql and pause_lane.sql.
WITH gate AS MATERIALIZED (
    SELECT name FROM {schema}.gates WHERE name = %(gate)s FOR UPDATE
), was AS MATERIALIZED (
    SELECT lanes.* FROM {schema}.lanes JOIN gate ON gate.name = lanes.gate WHERE lane = %(lane)s FOR UPDATE OF lanes
), changed AS (
    INSERT INTO {schema}.lanes (gate, lane, set_max_running, set_at, set_until, set_by, set_reason)
    SELECT
        gate.name, %(lane)s, %(limit)s::integer,
        CASE WHEN %(limit)s::integer IS NOT NULL THEN statement_timestamp() END,
        CASE WHEN %(limit)s::integer IS NOT NULL THEN statement_timestamp() + %(seconds)s::float8 * interval '1 second' END,
        CASE WHEN %(limit)s::integer IS NOT NULL THEN %(by)s END,
        CASE WHEN %(limit)s::integer IS NOT NULL THEN %(reason)s END
    FROM gate
    WHERE %(limit)s::integer IS NOT NULL OR EXISTS (SELECT FROM was WHERE set_max_running IS NOT NULL)
    ON CONFLICT (gate, lane) DO UPDATE
    SET set_max_running = excluded.set_max_running, set_at = excluded.set_at, set_until = excluded.set_until,
        set_by = excluded.set_by, set_reason = excluded.set_reason
    RETURNING gate, lane
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT
        %(act)s, 0, 0,
        coalesce((SELECT to_jsonb(was) FROM was), jsonb_build_object('gate', changed.gate, 'lane', changed.lane::text))
    FROM changed
)
SELECT gate AS name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, gate) END IS NOT NULL AS told
FROM changed
