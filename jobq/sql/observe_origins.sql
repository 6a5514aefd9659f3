-- Since which build groups of failures are there: the build of the first failure, how many attempts of the class ended before
-- it, and in which of the last builds the group failed, and its class ran at all.
-- A build is looked for among the last failures while its workers lived, no further than the limit: of a build that never
-- failed so, and lived beside one that did, all would be read. Workers of another build may live at the same time, so it
-- is the worker of a failure that tells, not the time.
WITH grouped AS MATERIALIZED (
    SELECT *
    FROM unnest(%(groups)s::text[], %(classes)s::text[], %(firsts)s::timestamptz[])
        WITH ORDINALITY AS given (fingerprint, job_class, first_at, place)
), came AS MATERIALIZED (
    SELECT build, max(id) AS place, max(at) AS at
    FROM {schema}.deploys
    GROUP BY build
    ORDER BY max(id) DESC
    LIMIT %(builds)s
), build AS MATERIALIZED (
    SELECT
        came.build, came.place, came.at,
        coalesce(lead(came.at) OVER (ORDER BY came.place), 'infinity') AS until,
        lived.ids, lived.began_at, lived.ended_at
    FROM came
    CROSS JOIN LATERAL (
        SELECT
            array_agg(id) AS ids, min(started_at) AS began_at, max(coalesce(stopped_at, 'infinity')) AS ended_at
        FROM {schema}.workers
        WHERE workers.build = came.build
    ) AS lived
), ran AS (
    SELECT DISTINCT counted.job_class, build.place
    FROM build
    JOIN {schema}.all_metrics AS counted
        ON counted.at + counted.minutes * interval '1 minute' > build.at AND counted.at < build.until
    WHERE counted.job_class = ANY (SELECT job_class FROM grouped)
), before AS (
    SELECT
        grouped.fingerprint,
        sum(counted.successful + counted.errored + counted.cancelled + counted.deferred + counted.lost)::bigint AS attempts
    FROM grouped
    JOIN {schema}.all_metrics AS counted
        ON counted.job_class = grouped.job_class
        AND counted.at + counted.minutes * interval '1 minute' <= grouped.first_at
    GROUP BY grouped.fingerprint
)
SELECT
    grouped.fingerprint AS group,
    (
        SELECT workers.build
        FROM {schema}.results
        JOIN {schema}.workers ON workers.id = results.worker_id
        WHERE results.fingerprint = grouped.fingerprint AND results.ended_at = grouped.first_at
        LIMIT 1
    ) AS build,
    coalesce(before.attempts, 0) AS attempts_before,
    ARRAY(SELECT build.build FROM build ORDER BY build.place) AS last_builds,
    (SELECT min(build.at) FROM build) AS last_builds_since,
    ARRAY(
        SELECT build.build
        FROM build
        WHERE EXISTS (
            SELECT
            FROM (
                SELECT worker_id
                FROM {schema}.results
                WHERE results.fingerprint = grouped.fingerprint
                    AND results.ended_at >= build.began_at
                    AND results.ended_at <= build.ended_at
                ORDER BY results.ended_at DESC
                LIMIT %(limit)s
            ) AS failed
            WHERE failed.worker_id = ANY (build.ids)
        )
        ORDER BY build.place
    ) AS failed_in,
    ARRAY(
        SELECT build.build
        FROM build
        JOIN ran USING (place)
        WHERE ran.job_class = grouped.job_class
        ORDER BY build.place
    ) AS ran_in
FROM grouped
LEFT JOIN before USING (fingerprint)
ORDER BY grouped.place
