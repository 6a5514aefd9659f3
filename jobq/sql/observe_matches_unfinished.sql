-- How many unfinished jobs a filter selects, up to a limit; ordered for the reason in observe_matches_finished.sql.
SELECT count(*) AS number
FROM (
    SELECT
    FROM {schema}.jobs
    WHERE {condition}
    ORDER BY id DESC
    LIMIT %(limit)s::bigint
) AS found
