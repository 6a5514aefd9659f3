-- What decides when a job passes its gate: the limits and who has filled them, the rates, the pauses, the lanes that wait
-- too. Lanes are counted by single steps of the index jobs_gated, and jobs no further than the limit.
SELECT
    jobs.gate::text AS gate, jobs.lane::text AS lane, kept.name IS NOT NULL AS is_known,
    EXISTS (SELECT FROM {schema}.workers WHERE workers.id = kept.declared_by AND workers.stopped_at IS NULL) AS is_declared,
    coalesce(kept.is_strict, false) AS is_strict,
    CASE
        WHEN coalesce(kept.set_until > statement_timestamp(), true) THEN coalesce(kept.set_max_running, kept.max_running)
        ELSE kept.max_running
    END AS gate_limit,
    CASE
        WHEN coalesce(own.set_until > statement_timestamp(), true)
        THEN coalesce(own.set_max_running, kept.lane_max_running)
        ELSE kept.lane_max_running
    END AS lane_limit,
    CASE WHEN coalesce(kept.paused_until > statement_timestamp(), true) THEN kept.paused_at END AS paused_at,
    kept.paused_until, kept.paused_by, kept.pause_reason,
    CASE WHEN coalesce(own.paused_until > statement_timestamp(), true) THEN own.paused_at END AS lane_paused_at,
    own.paused_until AS lane_paused_until, own.paused_by AS lane_paused_by, own.pause_reason AS lane_pause_reason,
    extract(epoch FROM kept.spent_to - statement_timestamp())::float8
        - (kept.rate_burst - 1) * kept.rate_seconds / (kept.rate - kept.rate_burst + 1) AS next_start_seconds,
    extract(epoch FROM own.spent_to - statement_timestamp())::float8
        - (kept.lane_rate_burst - 1) * kept.lane_rate_seconds / (kept.lane_rate - kept.lane_rate_burst + 1)
        AS lane_next_start_seconds,
    held.running, held.running_in_lane,
    oldest.id AS oldest_id, oldest.started_at AS oldest_since, oldest.owner AS oldest_owner,
    oldest_in_lane.id AS lane_oldest_id, oldest_in_lane.started_at AS lane_oldest_since,
    oldest_in_lane.owner AS lane_oldest_owner,
    resting.id AS resting_id, resting.state AS resting_state, resting.run_at AS resting_until,
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM {schema}.jobs AS other
            WHERE (other.is_due IS NULL OR other.place IS NOT NULL) AND other.place IS NULL
                AND other.gate = jobs.gate AND other.queue = jobs.queue AND other.lane = jobs.lane
                AND -other.priority = -jobs.priority AND other.id < jobs.id
            LIMIT %(limit)s
        ) AS before
    ) AS ahead_in_lane,
    (
        WITH RECURSIVE step AS (
            (
                SELECT other.lane, 1 AS nth
                FROM {schema}.jobs AS other
                WHERE (other.is_due IS NULL OR other.place IS NOT NULL) AND other.place IS NULL
                    AND other.gate = jobs.gate AND other.queue = jobs.queue AND -other.priority = -jobs.priority
                ORDER BY other.place, other.queue, -other.priority, other.lane, other.id
                LIMIT 1
            )
            UNION ALL
            SELECT following.lane, step.nth + 1
            FROM step
            CROSS JOIN LATERAL (
                SELECT other.lane
                FROM {schema}.jobs AS other
                WHERE (other.is_due IS NULL OR other.place IS NOT NULL) AND other.place IS NULL
                    AND other.gate = jobs.gate AND other.queue = jobs.queue AND -other.priority = -jobs.priority
                    AND other.lane > step.lane
                ORDER BY other.place, other.queue, -other.priority, other.lane, other.id
                LIMIT 1
            ) AS following
            WHERE step.nth < %(lanes)s
        )
        SELECT count(*) FROM step WHERE step.lane <> jobs.lane
    ) AS other_lanes
FROM {schema}.jobs
LEFT JOIN {schema}.gates AS kept ON kept.name = jobs.gate
LEFT JOIN {schema}.lanes AS own ON own.gate = jobs.gate AND own.lane = jobs.lane
CROSS JOIN LATERAL (
    SELECT count(*) AS running, count(*) FILTER (WHERE other.lane = jobs.lane) AS running_in_lane
    FROM {schema}.jobs AS other
    WHERE other.gate = jobs.gate AND other.place IS NOT NULL AND other.worker_id IS NOT NULL
) AS held
LEFT JOIN LATERAL (
    SELECT other.id, other.started_at::timestamptz, {owner_name} AS owner
    FROM {schema}.jobs AS other
    LEFT JOIN {schema}.workers AS owner ON owner.id = other.worker_id
    WHERE other.gate = jobs.gate AND other.place IS NOT NULL AND other.worker_id IS NOT NULL
    ORDER BY other.place
    LIMIT 1
) AS oldest ON true
LEFT JOIN LATERAL (
    SELECT other.id, other.started_at::timestamptz, {owner_name} AS owner
    FROM {schema}.jobs AS other
    LEFT JOIN {schema}.workers AS owner ON owner.id = other.worker_id
    WHERE other.gate = jobs.gate AND other.place IS NOT NULL AND other.worker_id IS NOT NULL AND other.lane = jobs.lane
    ORDER BY other.place
    LIMIT 1
) AS oldest_in_lane ON true
LEFT JOIN LATERAL (
    SELECT other.id, other.state, other.run_at::timestamptz
    FROM {schema}.jobs AS other
    WHERE other.gate = jobs.gate AND other.place IS NOT NULL AND other.worker_id IS NULL AND other.lane = jobs.lane
        AND other.id <> jobs.id
    ORDER BY other.place
    LIMIT 1
) AS resting ON true
WHERE jobs.id = %(id)s AND jobs.gate IS NOT NULL
