-- How many jobs are pending in the queues of a worker's choice, counted no further than the limit: those that are due,
-- without those that run. The index jobs_due gives the queues by single steps: however many jobs there are in queues that
-- are not chosen, none of them is read.
WITH RECURSIVE due_queue AS (
    (
        SELECT queue FROM {schema}.jobs WHERE is_due ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM due_queue
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE is_due AND queue > due_queue.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
), chosen AS MATERIALIZED (
    SELECT queue FROM due_queue WHERE {schema}.works(%(queues)s::text[], queue)
), running AS MATERIALIZED (
    SELECT count(*) AS jobs
    FROM {schema}.jobs
    WHERE {running} AND queue IN (SELECT queue FROM chosen)
)
SELECT greatest(count(*) - (SELECT jobs FROM running), 0)
FROM (
    SELECT
    FROM chosen
    CROSS JOIN LATERAL (
        SELECT FROM {schema}.jobs WHERE is_due AND queue = chosen.queue
    ) AS due
    LIMIT %(limit)s + (SELECT jobs FROM running)
) AS counted
