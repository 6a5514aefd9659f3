-- The gates at which something waits that are open, and the queues in which it waits: one step of the index jobs_gated for
-- each gate, and one for each of its queues, however many jobs wait there. A gate that no worker has declared yet is left
-- out: nobody knows its limits. The last part has jobs that keep a place between their attempts; there are few.
WITH RECURSIVE gate AS (
    (
        SELECT gate::text AS name FROM {schema}.jobs WHERE is_due IS NULL AND gate > '' ORDER BY gate LIMIT 1
    )
    UNION ALL
    SELECT following.name
    FROM gate
    CROSS JOIN LATERAL (
        SELECT gate::text AS name FROM {schema}.jobs WHERE is_due IS NULL AND gate > gate.name ORDER BY gate LIMIT 1
    ) AS following
), open AS MATERIALIZED (
    SELECT name
    FROM gate
    JOIN {schema}.gates USING (name)
    WHERE gates.paused_at IS NULL OR gates.paused_until <= statement_timestamp()
), pair AS (
    SELECT open.name, front.queue
    FROM open
    CROSS JOIN LATERAL (
        SELECT queue::text
        FROM {schema}.jobs
        WHERE is_due IS NULL AND place IS NULL AND gate = open.name
        ORDER BY place, queue
        LIMIT 1
    ) AS front
    UNION ALL
    SELECT pair.name, following.queue
    FROM pair
    CROSS JOIN LATERAL (
        SELECT queue::text
        FROM {schema}.jobs
        WHERE is_due IS NULL AND place IS NULL AND gate = pair.name AND queue > pair.queue
        ORDER BY place, queue
        LIMIT 1
    ) AS following
), resting AS (
    SELECT DISTINCT open.name, jobs.queue::text
    FROM open
    JOIN {schema}.jobs ON jobs.gate = open.name AND jobs.place > 0 AND jobs.is_due IS NULL AND jobs.worker_id IS NULL
)
SELECT name, array_agg(queue ORDER BY queue)
FROM (SELECT name, queue FROM pair UNION SELECT name, queue FROM resting) AS waiting
GROUP BY name
