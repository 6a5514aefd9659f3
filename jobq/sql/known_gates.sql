-- The gates there are: those that some worker declared, and those at which a job waits or runs, one step of the index each.
-- Where there is no gate, these are two probes of empty indexes.
WITH RECURSIVE used AS (
    (
        SELECT gate FROM {schema}.jobs WHERE {at_gate} ORDER BY gate, place, queue, -priority, lane, id LIMIT 1
    )
    UNION ALL
    SELECT following.gate
    FROM used
    CROSS JOIN LATERAL (
        SELECT gate
        FROM {schema}.jobs
        WHERE {at_gate} AND gate > used.gate
        ORDER BY gate, place, queue, -priority, lane, id
        LIMIT 1
    ) AS following
)
SELECT gate::text AS name FROM used
UNION
SELECT name FROM {schema}.gates
ORDER BY name
LIMIT %(limit)s
