-- The groups of a period's failures, the largest first and the muted last: from the index results_failures alone, day by day. What is shown
-- of a group besides its numbers is read from its last failure only, afterwards.
WITH muted AS (
    SELECT fingerprint, muted_until, muted_by FROM {schema}.mutes WHERE muted_until > statement_timestamp()
), grouped AS MATERIALIZED (
    SELECT
        fingerprint,
        count(*) AS attempts,
        count(*) FILTER (WHERE NOT retried) AS at_rest,
        min(ended_at) AS first_at,
        max(ended_at) AS last_at
    FROM {schema}.results
    WHERE fingerprint IS NOT NULL
        AND ended_at >= %(since)s
        AND ended_at < %(until)s
    GROUP BY fingerprint
    ORDER BY fingerprint IN (SELECT muted.fingerprint FROM muted), count(*) DESC, fingerprint
    LIMIT %(limit)s
)
SELECT
    grouped.fingerprint AS group, grouped.attempts, grouped.at_rest, grouped.first_at, grouped.last_at,
    example.id AS example_id, example.job_class, example.queue, example.error_type, example.error_message, example.frame,
    example.traceback, example.arguments,
    (
        SELECT min(ended_at) FROM {schema}.results WHERE results.fingerprint = grouped.fingerprint
    ) AS ever_first_at,
    muted.muted_until, muted.muted_by
FROM grouped
LEFT JOIN muted ON muted.fingerprint = grouped.fingerprint
CROSS JOIN LATERAL (
    SELECT id, job_class, queue, error_type, error_message, frame, traceback, arguments
    FROM {schema}.results
    WHERE results.fingerprint = grouped.fingerprint AND results.ended_at = grouped.last_at
    LIMIT 1
) AS example
ORDER BY muted.muted_until IS NOT NULL, grouped.attempts DESC, grouped.fingerprint
