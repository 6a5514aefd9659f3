-- Classes at the front of each queue's pending jobs that no live worker knows. What workers cannot claim gathers
-- at the front, so looking there is enough, and costs the same with a million jobs behind it.
WITH RECURSIVE step AS (
    (
        SELECT queue FROM {schema}.jobs WHERE {pending} ORDER BY queue, -priority, id LIMIT 1
    )
    UNION ALL
    SELECT following.queue
    FROM step
    CROSS JOIN LATERAL (
        SELECT queue
        FROM {schema}.jobs
        WHERE {pending} AND queue > step.queue
        ORDER BY queue, -priority, id
        LIMIT 1
    ) AS following
), known AS (
    SELECT class ->> 'name' AS name
    FROM {schema}.workers
    CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
    WHERE stopped_at IS NULL
    UNION
    SELECT alias
    FROM {schema}.workers
    CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
    CROSS JOIN LATERAL jsonb_array_elements_text(class -> 'aliases') AS alias
    WHERE stopped_at IS NULL
)
SELECT
    job_class, sum(jobs)::bigint AS jobs, array_agg(queue::text ORDER BY queue) AS queues,
    array_agg(jobs ORDER BY queue) AS counts
FROM (
    SELECT front.job_class, step.queue, count(*) AS jobs
    FROM step
    CROSS JOIN LATERAL (
        SELECT job_class
        FROM {schema}.jobs
        WHERE {pending} AND queue = step.queue
        ORDER BY queue, -priority, id
        LIMIT %(limit)s
    ) AS front
    WHERE NOT EXISTS (SELECT FROM known WHERE name = front.job_class)
    GROUP BY front.job_class, step.queue
) AS found
GROUP BY job_class
ORDER BY job_class
