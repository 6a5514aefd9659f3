-- How many jobs are pending, counted no further than the limit. No queues given: all of them.
SELECT count(*)
FROM (
    SELECT
    FROM {schema}.jobs
    WHERE state = 'pending' AND (%(queues)s::text[] = '{}' OR queue = ANY (%(queues)s::text[]))
    LIMIT %(limit)s
) AS counted
