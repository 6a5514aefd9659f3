-- The attempts that were not successful, and how many of them ended their job, from their own small index, counted no further
-- than the limit for each outcome.
SELECT wanted.outcome, counted.attempts, counted.jobs
FROM unnest(%(outcomes)s::text[]) AS wanted (outcome)
CROSS JOIN LATERAL (
    SELECT count(*) AS attempts, count(*) FILTER (WHERE NOT retried) AS jobs
    FROM (
        SELECT retried
        FROM {schema}.results
        WHERE outcome = wanted.outcome AND outcome <> 'successful'
        LIMIT %(limit)s
    ) AS limited
) AS counted
