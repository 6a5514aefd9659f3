-- Has workers send the lines of one job, or of some classes and queues, from now on. The one that runs the job is told at
-- once; for several jobs each worker that lives is.
WITH asked AS (
    INSERT INTO {schema}.follows (job_id, classes, queues, level, until, followed_by)
    VALUES (
        %(job_id)s::bigint, %(classes)s::text[], %(queues)s::text[], %(level)s::smallint,
        statement_timestamp() + %(seconds)s::float8 * interval '1 second', %(followed_by)s::text
    )
    RETURNING id, job_id
), concerned AS (
    SELECT workers.id
    FROM asked, {schema}.workers
    WHERE workers.stopped_at IS NULL
        AND (asked.job_id IS NULL OR workers.id = (SELECT worker_id FROM {schema}.jobs WHERE jobs.id = asked.job_id))
)
SELECT
    asked.id,
    (
        SELECT count(pg_notify(%(channel)s, concerned.id::text)::text)
        FROM concerned
        WHERE pg_notification_queue_usage() < 0.9
    ) AS told
FROM asked
