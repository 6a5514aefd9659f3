-- How many finished jobs a filter selects, up to a limit. In the order of the lists, so that PostgreSQL walks the same index
-- as for a page and never reads the whole history in the hope of finding enough soon.
SELECT count(*) AS number
FROM (
    SELECT
    FROM {schema}.results
    WHERE NOT retried
        AND {condition}
    ORDER BY ended_at DESC, id DESC
    LIMIT %(limit)s::bigint
) AS found
