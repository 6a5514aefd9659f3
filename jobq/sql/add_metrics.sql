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
    (minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
     longest_wait, longest_run)
SELECT
    minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried,
    waits::numeric, runs::numeric, longest_wait, longest_run
FROM unnest(
    %(minutes)s::timestamptz[], %(queues)s::text[], %(job_classes)s::text[], %(successful)s::integer[],
    %(errored)s::integer[], %(cancelled)s::integer[], %(deferred)s::integer[], %(lost)s::integer[],
    %(retried)s::integer[], %(waits)s::text[], %(runs)s::text[], %(longest_waits)s::float8[],
    %(longest_runs)s::float8[]
) AS given (
    minute, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs,
    longest_wait, longest_run
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
    waits = metrics.waits + excluded.waits,
    runs = metrics.runs + excluded.runs,
    longest_wait = greatest(metrics.longest_wait, excluded.longest_wait),
    longest_run = greatest(metrics.longest_run, excluded.longest_run)
RETURNING minute
