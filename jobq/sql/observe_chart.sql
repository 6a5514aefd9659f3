-- The same period in steps, for a chart: what ended in each.
SELECT
    date_bin(%(step)s::float8 * interval '1 second', all_metrics.at, %(since)s) AS at, queue,
    sum(successful)::bigint AS successful, sum(errored)::bigint AS errored, sum(cancelled)::bigint AS cancelled,
    sum(deferred)::bigint AS deferred, sum(lost)::bigint AS lost, sum(retried)::bigint AS retried
FROM {schema}.all_metrics
WHERE at >= %(since)s
    AND at < %(until)s
    AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
GROUP BY 1, 2
ORDER BY 1, 2
