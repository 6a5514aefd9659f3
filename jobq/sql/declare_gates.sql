-- Keeps gates as live workers declare them. Of several declarations of one gate that of the youngest worker counts, whoever
-- asks: in a rolling deploy that is the new code's, and that of the old code again when the new workers are gone. A gate
-- that no live worker declares stays as it was: jobs that wait there go on. What operators have set stands beside it.
-- A row is locked only where something changes, so claims are not waited for in vain.
WITH declared AS MATERIALIZED (
    SELECT DISTINCT ON (gate ->> 'name')
        gate ->> 'name' AS name, (gate ->> 'limit')::integer AS max_running,
        (gate ->> 'lane_limit')::integer AS lane_max_running,
        (gate -> 'rate' ->> 'starts')::integer AS rate, (gate -> 'rate' ->> 'seconds')::float8 AS rate_seconds,
        (gate -> 'rate' ->> 'burst')::integer AS rate_burst,
        (gate -> 'lane_rate' ->> 'starts')::integer AS lane_rate,
        (gate -> 'lane_rate' ->> 'seconds')::float8 AS lane_rate_seconds,
        (gate -> 'lane_rate' ->> 'burst')::integer AS lane_rate_burst,
        gate ->> 'by' AS lane_parameter, (gate ->> 'is_strict')::boolean AS is_strict,
        CASE WHEN (gate ->> 'waits_after_loss')::boolean THEN %(loss_wait_seconds)s::float8 END AS loss_wait_seconds,
        workers.id AS declared_by
    FROM {schema}.workers
    CROSS JOIN LATERAL jsonb_array_elements(workers.classes) AS class
    CROSS JOIN LATERAL (SELECT class -> 'gate' AS gate) AS told
    WHERE workers.stopped_at IS NULL
        AND jsonb_typeof(gate) = 'object'
        AND (NOT %(only_known)s::boolean OR EXISTS (SELECT FROM {schema}.gates))
    ORDER BY gate ->> 'name', workers.id DESC
), changed AS (
    SELECT declared.*
    FROM declared
    LEFT JOIN {schema}.gates AS kept ON kept.name = declared.name
    WHERE (
        declared.max_running, declared.lane_max_running, declared.rate, declared.rate_seconds, declared.rate_burst,
        declared.lane_rate, declared.lane_rate_seconds, declared.lane_rate_burst, declared.lane_parameter,
        declared.is_strict, declared.loss_wait_seconds, declared.declared_by
    ) IS DISTINCT FROM (
        kept.max_running, kept.lane_max_running, kept.rate, kept.rate_seconds, kept.rate_burst,
        kept.lane_rate, kept.lane_rate_seconds, kept.lane_rate_burst, kept.lane_parameter,
        kept.is_strict, kept.loss_wait_seconds, kept.declared_by
    )
)
INSERT INTO {schema}.gates
    (name, max_running, lane_max_running, rate, rate_seconds, rate_burst, lane_rate, lane_rate_seconds, lane_rate_burst,
     lane_parameter, is_strict, loss_wait_seconds, declared_by)
SELECT
    name, max_running, lane_max_running, rate, rate_seconds, rate_burst, lane_rate, lane_rate_seconds, lane_rate_burst,
    lane_parameter, is_strict, loss_wait_seconds, declared_by
FROM changed
ORDER BY name COLLATE "C"
ON CONFLICT (name) DO UPDATE SET
    max_running = excluded.max_running,
    lane_max_running = excluded.lane_max_running,
    rate = excluded.rate,
    rate_seconds = excluded.rate_seconds,
    rate_burst = excluded.rate_burst,
    lane_rate = excluded.lane_rate,
    lane_rate_seconds = excluded.lane_rate_seconds,
    lane_rate_burst = excluded.lane_rate_burst,
    lane_parameter = excluded.lane_parameter,
    is_strict = excluded.is_strict,
    loss_wait_seconds = excluded.loss_wait_seconds,
    declared_by = excluded.declared_by,
    declared_at = statement_timestamp()
RETURNING name
