-- What the history says of a gate: the largest number of its attempts that ran at one time, altogether and in one lane, and
-- when; the largest number that began in any window of its rate. A sweep over begins and ends. An attempt that ends at the
-- very time at which another begins did not overlap with it: so ends come first. A window is half open, as the rate counts:
-- it holds what begins after its start and up to its end.
-- Attempts that were lost are left out of all but one figure, since nobody knows when they ended.
WITH period AS MATERIALIZED (
    SELECT coalesce(%(at)s::timestamptz, statement_timestamp() - %(ago)s::float8 * interval '1 second') AS since
), attempt AS MATERIALIZED (
    SELECT lane, started_at, ended_at, outcome = 'lost' AS is_lost
    FROM {schema}.results
    WHERE gate = %(gate)s AND ended_at >= (SELECT since FROM period) AND started_at IS NOT NULL
    UNION ALL
    SELECT lane::text, started_at, NULL, false
    FROM {schema}.jobs
    WHERE gate = %(gate)s AND place IS NOT NULL AND worker_id IS NOT NULL
), moment AS MATERIALIZED (
    SELECT lane, started_at AS at, 1 AS step, is_lost FROM attempt
    UNION ALL
    SELECT lane, ended_at, -1, is_lost FROM attempt WHERE ended_at IS NOT NULL
), running AS (
    SELECT
        at, lane,
        sum(step) OVER (ORDER BY at, step) AS attempts,
        sum(step) OVER (PARTITION BY lane ORDER BY at, step) AS in_lane
    FROM moment
    WHERE NOT is_lost
), running_with_lost AS (
    SELECT at, sum(step) OVER (ORDER BY at, step) AS attempts FROM moment
), starts AS (
    SELECT
        started_at AS at,
        count(*) OVER (
            ORDER BY extract(epoch FROM started_at)::float8 RANGE BETWEEN coalesce(%(window)s::float8 - 0.000001, 0) PRECEDING AND CURRENT ROW
        ) AS attempts
    FROM attempt
    WHERE %(window)s::float8 IS NOT NULL
)
SELECT
    (SELECT since FROM period) AS since,
    (SELECT count(*) FROM attempt) AS attempts,
    (SELECT count(*) FROM attempt WHERE is_lost) AS lost,
    (
        SELECT to_jsonb(peak) FROM (
            SELECT attempts, at FROM running ORDER BY attempts DESC, at LIMIT 1
        ) AS peak
    ) AS overlap,
    (
        SELECT to_jsonb(peak) FROM (
            SELECT in_lane AS attempts, at, lane FROM running ORDER BY in_lane DESC, at LIMIT 1
        ) AS peak
    ) AS lane_overlap,
    (
        SELECT to_jsonb(peak) FROM (
            SELECT attempts, at FROM starts ORDER BY attempts DESC, at LIMIT 1
        ) AS peak
    ) AS starts,
    (
        SELECT to_jsonb(peak) FROM (
            SELECT attempts, at FROM running_with_lost ORDER BY attempts DESC, at LIMIT 1
        ) AS peak
    ) AS overlap_with_lost,
    (
        SELECT count(*)
        FROM {schema}.audit
        WHERE verb = 'limit gate' AND at >= (SELECT since FROM period) AND %(gate)s = ANY (names)
    ) AS limits_set
