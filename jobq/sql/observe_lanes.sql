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
    {set_by_operators}
FROM named
LEFT JOIN waiting ON waiting.lane = named.lane
LEFT JOIN running ON running.lane = named.lane
LEFT JOIN {schema}.lanes AS kept ON kept.gate = %(gate)s AND kept.lane = named.lane
{what_is_set}
ORDER BY coalesce(waiting.jobs, 0) DESC, waiting.oldest, named.lane
