-- The arguments of claimed jobs that did not come with the claim: of as many jobs, in the order of their ids, as
-- %(bytes)s bytes of text hold, and of at least one. NULL for what has more than %(longest)s bytes as text.
-- The stored arguments of one statement come to 100,000 bytes and one job more: compressed, they may be very much.
SELECT id, attempt, arguments
FROM (
    SELECT id, attempt, arguments, coalesce(sum(octet_length(arguments)) OVER preceding, 0) AS before
    FROM (
        SELECT id, attempt, {schema}.bounded_text(arguments, %(longest)s::bigint) AS arguments
        FROM (
            SELECT
                jobs.id, jobs.attempt, jobs.arguments,
                coalesce(sum(pg_column_size(jobs.arguments)) OVER preceding, 0) AS before
            FROM {schema}.jobs
            WHERE jobs.id = ANY (%(ids)s::bigint[]) AND coalesce(jobs.worker_id, 0) = %(worker_id)s
            WINDOW preceding AS (ORDER BY jobs.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ) AS claimed
        WHERE before < 100000
        OFFSET 0
    ) AS told
    WINDOW preceding AS (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS counted
WHERE before < %(bytes)s::bigint OR before = 0
ORDER BY id
