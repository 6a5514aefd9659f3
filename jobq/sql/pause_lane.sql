-- From now on nothing starts in one lane of a gate; as in pause_gate.sql. A lane that had no row has none again after an undo.
-- The gate's row is locked first: claims through it end before, and see the pause after.
WITH gate AS MATERIALIZED (
    SELECT name FROM {schema}.gates WHERE name = %(gate)s FOR UPDATE
), was AS MATERIALIZED (
    SELECT lanes.* FROM {schema}.lanes JOIN gate ON gate.name = lanes.gate WHERE lane = %(lane)s FOR UPDATE OF lanes
), paused AS (
    INSERT INTO {schema}.lanes (gate, lane, paused_at, paused_until, paused_by, pause_reason)
    SELECT
        gate.name, %(lane)s, statement_timestamp(),
        statement_timestamp() + %(seconds)s::float8 * interval '1 second', %(by)s, %(reason)s
    FROM gate
    ON CONFLICT (gate, lane) DO UPDATE
    SET paused_at = excluded.paused_at, paused_until = excluded.paused_until, paused_by = excluded.paused_by,
        pause_reason = excluded.pause_reason
    WHERE lanes.paused_at IS NULL OR lanes.paused_until <= statement_timestamp()
    RETURNING gate, lane
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT
        %(act)s, 0, 0,
        coalesce((SELECT to_jsonb(was) FROM was), jsonb_build_object('gate', paused.gate, 'lane', paused.lane::text))
    FROM paused
)
SELECT gate AS name FROM paused
