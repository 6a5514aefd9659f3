-- How long attempts ran, in the steps of a chart: one row a step with a histogram.
SELECT
    date_bin(%(step)s::float8 * interval '1 second', all_metrics.at, %(since)s) AS at,
    sum(runs) AS runs, max(longest_run) AS longest_run
FROM {schema}.all_metrics
WHERE at >= %(since)s
    AND at < %(until)s
    AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
GROUP BY 1
ORDER BY 1
