-- The builds that came last, the youngest first: a build that came again counts from then.
SELECT
    came.build AS name, came.first_at, came.last_at,
    (
        SELECT count(*) FROM {schema}.workers WHERE workers.build = came.build AND workers.stopped_at IS NULL
    ) AS workers
FROM (
    SELECT build, min(at) AS first_at, max(at) AS last_at, max(id) AS place
    FROM {schema}.deploys
    GROUP BY build
) AS came
ORDER BY came.place DESC
LIMIT %(limit)s
