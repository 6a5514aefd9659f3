-- The lanes of a gate: those in which something waits, as many as `lanes`, each counted no further than `jobs`; those in which
-- something runs; those on which an operator has set something. By single steps of the index jobs_gated, as in
-- observe_gates.sql. The lane with the most comes first, and of equal ones that whose first job is the oldest.
WITH RECURSIVE step AS (
    (
        SELECT queue, -priority AS rank, lane, run_at, 1 AS nth
        FROM {schema}.jobs
        WHERE {waits_at_gate} AND gate = %(gate)s
        ORDER BY place, queue, -priority, lane, id
        LIMIT 1
    )
    UNION ALL
    SELECT following.queue, following.rank, following.lane, following.run_at, step.nth + 1
    FROM step
    CROSS JOIN LATERAL (
        SELECT queue, -priority AS rank, lane, run_at
        FROM {schema}.jobs
        WHERE {waits_at_gate} AND gate = %(gate)s
            AND (queue, (-priority), lane) > (step.queue, step.rank, step.lane)
        ORDER BY place, queue, -priority, lane, id
        LIMIT 1
    ) AS following
    WHERE step.nth < %(lanes)s
), waiting AS (
    SELECT step.lane, sum(counted.jobs)::bigint AS jobs, min(step.run_at)::timestamptz AS oldest
    FROM step
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs
        FROM (
            SELECT
            FROM {schema}.jobs
            WHERE {waits_at_gate} AND gate = %(gate)s
                AND queue = step.queue AND -priority = step.rank AND lane = step.lane
            LIMIT %(jobs)s
        ) AS few
    ) AS counted
    GROUP BY step.lane
), running AS (
    SELECT lane, count(*) AS jobs, min(started_at)::timestamptz AS oldest
    FROM {schema}.jobs
    WHERE gate = %(gate)s AND place IS NOT NULL AND worker_id IS NOT NULL
    GROUP BY lane
), named AS (
    SELECT lane FROM waiting
    UNION
    SELECT lane FROM running
    UNION
    SELECT lane
    FROM {schema}.lanes
    WHERE gate = %(gate)s AND (set_max_running IS NOT NULL OR paused_at IS NOT NULL)
)
SELECT
    named.lane::text AS name,
    coalesce(waiting.jobs, 0) AS waiting, coalesce(running.jobs, 0) AS running, running.oldest AS running_since,
    CASE
        WHEN waiting.jobs > 0 THEN greatest(extract(epoch FROM statement_timestamp() - waiting.oldest), 0)::float8
    END AS oldest_seconds,
    CASE WHEN set.is_set THEN kept.set_max_running END AS set_limit,
    CASE WHEN set.is_set THEN kept.set_at END AS set_at,
    CASE WHEN set.is_set THEN kept.set_until END AS set_until,
    CASE WHEN set.is_set THEN kept.set_by END AS set_by,
    CASE WHEN set.is_set THEN kept.set_reason END AS set_reason,
    CASE WHEN set.is_paused THEN kept.paused_at END AS paused_at,
    CASE WHEN set.is_paused THEN kept.paused_until END AS paused_until,
    CASE WHEN set.is_paused THEN kept.paused_by END AS paused_by,
    CASE WHEN set.is_paused THEN kept.pause_reason END AS pause_reason
FROM named
LEFT JOIN waiting ON waiting.lane = named.lane
LEFT JOIN running ON running.lane = named.lane
LEFT JOIN {schema}.lanes AS kept ON kept.gate = %(gate)s AND kept.lane = named.lane
CROSS JOIN LATERAL (
    SELECT
        kept.set_max_running IS NOT NULL AND coalesce(kept.set_until > statement_timestamp(), true) AS is_set,
        kept.paused_at IS NOT NULL AND coalesce(kept.paused_until > statement_timestamp(), true) AS is_paused
) AS set
ORDER BY coalesce(waiting.jobs, 0) DESC, waiting.oldest, named.lane
