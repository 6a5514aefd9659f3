-- How many jobs are pending, counted no further than the limit: those that are due, without those that run. No queues given:
-- all of them.
WITH running AS MATERIALIZED (
    SELECT count(*) AS jobs
    FROM {schema}.jobs
    WHERE {running} AND (%(queues)s::text[] = '{}' OR queue = ANY (%(queues)s::text[]))
)
SELECT greatest(count(*) - (SELECT jobs FROM running), 0)
FROM (
    SELECT
    FROM {schema}.jobs
    WHERE is_due AND (%(queues)s::text[] = '{}' OR queue = ANY (%(queues)s::text[]))
    LIMIT %(limit)s + (SELECT jobs FROM running)
) AS counted
