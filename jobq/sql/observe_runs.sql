-- How long attempts ran, in the steps of a chart: one row a step with a histogram.
SELECT
    date_bin(%(step)s::float8 * interval '1 second', all_metrics.at, %(since)s) AS at,
    ARRAY[
        sum(runs[1]), sum(runs[2]), sum(runs[3]), sum(runs[4]), sum(runs[5]), sum(runs[6]),
        sum(runs[7]), sum(runs[8]), sum(runs[9]), sum(runs[10]), sum(runs[11]), sum(runs[12]),
        sum(runs[13]), sum(runs[14]), sum(runs[15]), sum(runs[16]), sum(runs[17]), sum(runs[18]),
        sum(runs[19]), sum(runs[20]), sum(runs[21]), sum(runs[22]), sum(runs[23]), sum(runs[24])
    ]::bigint[] AS runs
FROM {schema}.all_metrics
WHERE at >= %(since)s
    AND at < %(until)s
    AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
GROUP BY 1
ORDER BY 1
