-- Jobs that no worker can run, since their arguments are too large to be read: those that workers have ended lately, by the
-- fingerprints of such ends, and some of those that wait. These are found by what is stored, compressed as it is, for the
-- whole table at the price of reading its rows; only of the largest is the size as text found out.
(
    SELECT job_class, fingerprint AS group, count(*) AS jobs, max(id) AS example
    FROM {schema}.results
    WHERE fingerprint = ANY (%(groups)s::text[])
        AND NOT retried
        AND ended_at > statement_timestamp() - %(lately)s * interval '1 second'
    GROUP BY job_class, fingerprint
    ORDER BY count(*) DESC
    LIMIT 10
)
UNION ALL
(
    SELECT job_class, NULL, 1, id
    FROM (
        SELECT id, job_class, arguments
        FROM {schema}.jobs
        WHERE pg_column_size(arguments) > 250000
        ORDER BY pg_column_size(arguments) DESC
        LIMIT 5
    ) AS largest
    WHERE {schema}.is_impossible(arguments, %(longest)s)
)
