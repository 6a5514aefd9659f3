-- The finished job so many below the last to end, or below another: the last one of a look. From the index of the order
-- alone; the condition has only terms that this index serves.
SELECT ended_at, id
FROM {schema}.results
WHERE (%(below_time)s::timestamptz IS NULL OR (ended_at, id) < (%(below_time)s::timestamptz, %(below)s::bigint))
    AND {condition}
ORDER BY ended_at DESC, id DESC
OFFSET %(look)s::bigint - 1
LIMIT 1
