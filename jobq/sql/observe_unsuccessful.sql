-- The attempts that were not successful, from their own small index, counted no further than the limit for each outcome.
SELECT wanted.outcome, counted.attempts
FROM unnest(%(outcomes)s::text[]) AS wanted (outcome)
CROSS JOIN LATERAL (
    SELECT count(*) AS attempts
    FROM (
        SELECT
        FROM {schema}.results
        WHERE outcome = wanted.outcome AND outcome <> 'successful'
        LIMIT %(limit)s
    ) AS limited
) AS counted
