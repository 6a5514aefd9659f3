-- The shapes of what is queued: which arguments jobs of a class have, and which tags are in them, however deep. Grouped
-- where the rows are, so that a million jobs that are alike cost one pass over the table, and one row to send.
-- jsonb keeps keys in an order of its own, always the same: equal sets of names are equal arrays.
-- Arguments without any tag, which are most, are told by a look at their text before anything is searched in them.
WITH shapes AS (
    SELECT job_class, names, tags, count(*) AS jobs, min(id) AS first_id
    FROM (
        SELECT
            id, job_class,
            ARRAY(SELECT jsonb_object_keys(arguments)) AS names,
            CASE
                WHEN position('"$"' IN arguments::text) = 0 THEN '{}'::text[]
                ELSE ARRAY(
                    SELECT DISTINCT tag #>> '{}'
                    FROM jsonb_path_query(arguments, 'strict $.**."$"', silent => true) AS tag
                    ORDER BY 1
                )
            END AS tags
        FROM {schema}.jobs
    ) AS queued
    GROUP BY job_class, names, tags
)
SELECT shapes.job_class, shapes.names, shapes.tags, shapes.jobs, shapes.first_id, jobs.arguments::text
FROM shapes
JOIN {schema}.jobs ON jobs.id = shapes.first_id
ORDER BY shapes.job_class, shapes.first_id
