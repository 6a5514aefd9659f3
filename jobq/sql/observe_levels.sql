-- How full each queue was: the first count of each step of a period, and the last of the whole. A step of the index a step
-- of the period: the counts between are not read.
SELECT levels.queue, levels.taken_at, levels.unfinished
FROM (
    SELECT counted.minute
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
    UNION
    (
        SELECT minute FROM {schema}.levels WHERE minute >= %(since)s AND minute < %(until)s ORDER BY minute DESC LIMIT 1
    )
) AS wanted
JOIN {schema}.levels ON levels.minute = wanted.minute
WHERE %(queue)s::text IS NULL OR levels.queue = %(queue)s
ORDER BY levels.queue, levels.taken_at
