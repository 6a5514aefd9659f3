-- A page of what is queued, with the arguments as they are stored: walks the primary key, so that each page costs the
-- same however long the queue is. It ends after the job with which the stored arguments pass %(bytes)s bytes. Arguments
-- of more than %(longest)s bytes as text, which somebody else wrote, are NULL.
SELECT
    id, job_class,
    {schema}.bounded_text(arguments, %(longest)s::bigint) AS arguments
FROM (
    SELECT
        id, job_class, arguments, pg_column_size(arguments) AS bytes,
        sum(pg_column_size(arguments)) OVER (ORDER BY id) AS total
    FROM (
        SELECT id, job_class, arguments
        FROM {schema}.jobs
        WHERE id > %(after)s AND id <= %(until)s
        ORDER BY id
        LIMIT %(limit)s
    ) AS next_jobs
) AS page
WHERE total - bytes < %(bytes)s::bigint
ORDER BY id
