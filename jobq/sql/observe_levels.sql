-- How full each queue was: the first count of each step of a period. A step of the index a step of the period: the counts
-- between are not read.
SELECT levels.queue, levels.taken_at, levels.unfinished
FROM generate_series(%(since)s, %(until)s, %(step)s::float8 * interval '1 second') AS step (began)
CROSS JOIN LATERAL (
    SELECT minute
    FROM {schema}.levels
    WHERE minute >= step.began
        AND minute < step.began + %(step)s::float8 * interval '1 second'
        AND minute < %(until)s
    ORDER BY minute
    LIMIT 1
) AS counted
JOIN {schema}.levels ON levels.minute = counted.minute
WHERE %(queue)s::text IS NULL OR levels.queue = %(queue)s
ORDER BY levels.queue, levels.taken_at
