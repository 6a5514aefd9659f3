-- What was written since a moment, of all jobs or of some. The oldest first, and no more than fit on a screen in a while:
-- whoever reads goes on behind the last row. Patterns are those of LIKE; none: all.
SELECT at, began_at, job_id, attempt, said, job_class, queue, left(lines, 400000) AS lines
FROM {schema}.logs
WHERE (at, job_id, attempt, said)
        > (%(after)s::timestamptz, %(after_job)s::bigint, %(after_attempt)s::integer, %(after_said)s::integer)
    AND at >= %(after)s::timestamptz -- by this alone PostgreSQL leaves out the partitions of other days
    AND (%(job_id)s::bigint IS NULL OR job_id = %(job_id)s)
    AND level >= %(level)s::smallint
    AND (cardinality(%(classes)s::text[]) = 0 OR job_class LIKE ANY (%(classes)s::text[]))
    AND (cardinality(%(queues)s::text[]) = 0 OR queue LIKE ANY (%(queues)s::text[]))
ORDER BY at, job_id, attempt, said
LIMIT %(limit)s
