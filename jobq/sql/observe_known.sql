-- Whether some live worker knows a class. While no worker lives none is unknown: then all jobs wait alike.
SELECT count(*) = 0 OR bool_or(
    EXISTS (
        SELECT
        FROM jsonb_array_elements(workers.classes) AS class
        WHERE class ->> 'name' = %(job_class)s::text OR class -> 'aliases' ? %(job_class)s::text
    )
) AS known
FROM {schema}.workers
WHERE stopped_at IS NULL
