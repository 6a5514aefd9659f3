-- Adds figures to the rows of their minutes. In the order of the key, so that two that add to the same rows wait for each
-- other one way only. What a worker sends carries a number of its own: where the answer was lost and it sends
-- the same again, the number is not higher than the last, and nothing is added.
WITH first_time AS (
    UPDATE {schema}.workers
    SET metrics_sent = %(number)s::bigint
    WHERE id = %(worker_id)s::bigint AND metrics_sent < %(number)s::bigint
    RETURNING id
)
INSERT INTO {schema}.metrics
    (minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs)
SELECT
    minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried,
    waits::integer[], runs::integer[]
FROM unnest(
    %(minutes)s::timestamptz[], %(queues)s::text[], %(job_classes)s::text[], %(successful)s::integer[],
    %(errored)s::integer[], %(cancelled)s::integer[], %(deferred)s::integer[], %(lost)s::integer[],
    %(retried)s::integer[], %(waits)s::text[], %(runs)s::text[]
) AS given (
    minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs
)
WHERE %(worker_id)s::bigint IS NULL OR EXISTS (SELECT FROM first_time)
ORDER BY minute, queue, job_class
ON CONFLICT (minute, queue, job_class) DO UPDATE
SET successful = metrics.successful + excluded.successful,
    errored = metrics.errored + excluded.errored,
    cancelled = metrics.cancelled + excluded.cancelled,
    deferred = metrics.deferred + excluded.deferred,
    lost = metrics.lost + excluded.lost,
    retried = metrics.retried + excluded.retried,
    waits = (
        SELECT array_agg(coalesce(before, 0) + coalesce(now, 0) ORDER BY place)
        FROM unnest(metrics.waits, excluded.waits) WITH ORDINALITY AS added (before, now, place)
    ),
    runs = (
        SELECT array_agg(coalesce(before, 0) + coalesce(now, 0) ORDER BY place)
        FROM unnest(metrics.runs, excluded.runs) WITH ORDINALITY AS added (before, now, place)
    )
RETURNING minute
