-- Where jobs stand: the state of each that is unfinished, 'finished' where the history has its end, null where there is no
-- such job. One snapshot: a job that ends moves from one table to the other, and is never missed between them. The history,
-- a partition for each day, is asked only about jobs that have left the table of jobs.
SELECT asked.id, coalesce(unfinished.state, ended.state) AS state
FROM unnest(%(ids)s::bigint[]) AS asked (id)
LEFT JOIN LATERAL (
    SELECT state
    FROM {schema}.jobs
    WHERE jobs.id = asked.id
    LIMIT 1
) AS unfinished ON true
LEFT JOIN LATERAL (
    SELECT 'finished' AS state
    FROM {schema}.results
    WHERE unfinished.state IS NULL AND results.id = asked.id AND NOT results.retried
    LIMIT 1
) AS ended ON true
