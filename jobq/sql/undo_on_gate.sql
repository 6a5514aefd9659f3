-- Takes back what an act set on a gate or a lane of one: what it paused, resumed or limited is as it was before. What was
-- changed again since stays. A lane is known by its field in what was kept.
WITH was AS MATERIALIZED (
    SELECT audit.verb, audit.ended_at, kept.row
    FROM {schema}.kept
    JOIN {schema}.audit ON audit.id = kept.act
    WHERE kept.act = %(act)s AND kept.row IS NOT NULL
), gate AS (
    UPDATE {schema}.gates AS changed
    SET {as_it_was}
    FROM was
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.gates, was.row) AS before
    WHERE NOT was.row ? 'lane' AND changed.name = before.name
        AND {is_as_it_left_it}
    RETURNING changed.name
), lane AS (
    UPDATE {schema}.lanes AS changed
    SET {as_it_was}
    FROM was
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.lanes, was.row) AS before
    WHERE was.row ? 'lane' AND changed.gate = before.gate AND changed.lane = before.lane
        AND {is_as_it_left_it}
    RETURNING changed.gate
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM (SELECT name FROM gate UNION SELECT gate FROM lane) AS undone
