-- The groups of a period's failures, those with the most jobs at rest first and the muted last, each with how many there were in which step of the
-- period: from the index results_failures alone, day by day. What is shown of a group besides its numbers is read from its
-- last failure only, afterwards. Without a step all of a group is one: to place a failure in its step costs twice what it
-- costs to read it.
WITH muted AS (
    SELECT fingerprint, muted_until, muted_by FROM {schema}.mutes WHERE muted_until > statement_timestamp()
), counted AS (
    SELECT
        fingerprint,
        date_bin(%(step)s::float8 * interval '1 second', ended_at, %(since)s) AS step_at,
        count(*) AS attempts,
        count(*) FILTER (WHERE NOT retried) AS at_rest,
        min(ended_at) AS first_at,
        max(ended_at) AS last_at
    FROM {schema}.results
    WHERE fingerprint IS NOT NULL
        AND ended_at >= %(since)s
        AND ended_at < %(until)s
    GROUP BY fingerprint, step_at
), grouped AS MATERIALIZED (
    SELECT
        fingerprint,
        sum(attempts)::bigint AS attempts,
        sum(at_rest)::bigint AS at_rest,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        array_agg(step_at) AS steps_at,
        array_agg(attempts) AS steps,
        sum(CASE WHEN sum(at_rest) > 0 AND muted.fingerprint IS NULL THEN 1 ELSE 0 END) OVER () AS groups_at_rest,
        (sum(CASE WHEN muted.fingerprint IS NULL THEN sum(at_rest) ELSE 0 END) OVER ())::bigint AS all_at_rest
    FROM counted
    LEFT JOIN muted USING (fingerprint)
    GROUP BY fingerprint, muted.fingerprint
    ORDER BY muted.fingerprint IS NOT NULL, sum(at_rest) DESC, sum(attempts) DESC, fingerprint
    LIMIT %(limit)s
)
SELECT
    grouped.fingerprint AS group, grouped.attempts, grouped.at_rest, grouped.first_at, grouped.last_at,
    grouped.steps_at, grouped.steps, grouped.groups_at_rest, grouped.all_at_rest,
    example.id AS example_id, example.job_class, example.queue, example.outcome, example.error_type, example.error_message, example.frame,
    example.traceback, {schema}.readable(example.arguments, 16384) AS arguments,
    (
        SELECT min(ended_at) FROM {schema}.results WHERE results.fingerprint = grouped.fingerprint
    ) AS ever_first_at,
    muted.muted_until, muted.muted_by
FROM grouped
LEFT JOIN muted ON muted.fingerprint = grouped.fingerprint
CROSS JOIN LATERAL (
    SELECT id, job_class, queue, outcome, error_type, error_message, frame, traceback, arguments
    FROM {schema}.results
    WHERE results.fingerprint = grouped.fingerprint AND results.ended_at = grouped.last_at
    LIMIT 1
) AS example
ORDER BY muted.muted_until IS NOT NULL, grouped.at_rest DESC, grouped.attempts DESC, grouped.fingerprint
