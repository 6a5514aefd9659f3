-- One row a gate that is named. What waits is counted no further than `jobs`, and lanes no further than `lanes`: the index
-- jobs_gated gives one lane after the other by single steps. The oldest is that among the first jobs of these lanes: an exact
-- answer would read all that waits. A rate says by one time how far it is used up (see gate_claim.sql): the share of a burst
-- that is used, and when the next start may be.
SELECT
    named.gate AS name,
    kept.max_running AS declared_limit, kept.lane_max_running AS lane_limit,
    kept.rate, kept.rate_seconds, kept.rate_burst, kept.lane_rate, kept.lane_rate_seconds, kept.lane_rate_burst,
    kept.lane_parameter, coalesce(kept.is_strict, false) AS is_strict,
    {set_by_operators},
    kept.name IS NOT NULL AS is_known,
    EXISTS (
        SELECT
        FROM {schema}.workers
        WHERE workers.id = kept.declared_by AND workers.stopped_at IS NULL
    ) AS is_declared,
    CASE WHEN kept.rate > 0 THEN greatest(
        extract(epoch FROM kept.spent_to - statement_timestamp())::float8
            - (kept.rate_burst - 1) * kept.rate_seconds / (kept.rate - kept.rate_burst + 1),
        0
    ) END AS next_start_seconds,
    running.jobs AS running, running.lanes AS running_lanes, running.oldest AS running_since,
    waiting.jobs AS waiting, lanes.lanes, lanes.oldest_seconds
FROM unnest(%(gates)s::text[]) AS named (gate)
LEFT JOIN {schema}.gates AS kept ON kept.name = named.gate
{what_is_set}
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, count(DISTINCT lane) AS lanes, min(started_at)::timestamptz AS oldest
    FROM {schema}.jobs
    WHERE gate = named.gate AND place IS NOT NULL AND worker_id IS NOT NULL
) AS running
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs
    FROM (SELECT FROM {schema}.jobs WHERE {waits_at_gate} AND gate = named.gate LIMIT %(jobs)s) AS counted
) AS waiting
CROSS JOIN LATERAL (
    WITH RECURSIVE step AS (
        (
            SELECT queue, -priority AS rank, lane, run_at, 1 AS nth
            FROM {schema}.jobs
            WHERE {waits_at_gate} AND gate = named.gate
            ORDER BY place, queue, -priority, lane, id
            LIMIT 1
        )
        UNION ALL
        SELECT following.queue, following.rank, following.lane, following.run_at, step.nth + 1
        FROM step
        CROSS JOIN LATERAL (
            SELECT queue, -priority AS rank, lane, run_at
            FROM {schema}.jobs
            WHERE {waits_at_gate} AND gate = named.gate
                AND (queue, (-priority), lane) > (step.queue, step.rank, step.lane)
            ORDER BY place, queue, -priority, lane, id
            LIMIT 1
        ) AS following
        WHERE step.nth < %(lanes)s
    )
    SELECT
        count(DISTINCT lane) AS lanes,
        CASE
            WHEN count(*) > 0 THEN greatest(extract(epoch FROM statement_timestamp() - min(run_at)), 0)::float8
        END AS oldest_seconds
    FROM step
) AS lanes
ORDER BY named.gate
