-- Keeps lines of attempts. Each says how many seconds ago its attempt began: the clock of the database counts.
INSERT INTO {schema}.logs (began_at, job_id, attempt, said, level, worker_id, job_class, queue, lines)
SELECT statement_timestamp() - ago * interval '1 second', job_id, attempt, said, level, %(worker_id)s, job_class, queue, lines
FROM unnest(
    %(agos)s::float8[], %(job_ids)s::bigint[], %(attempts)s::integer[], %(saids)s::integer[], %(levels)s::smallint[],
    %(job_classes)s::text[], %(queues)s::text[], %(lines)s::text[]
) AS given (ago, job_id, attempt, said, level, job_class, queue, lines)
