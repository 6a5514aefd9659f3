-- How long attempts ran, in the steps of a chart: one row a step with a histogram. Quantiles do not mind that of a long
-- period only every so many minutes are read.
SELECT
    date_bin(%(step)s::float8 * interval '1 second', minute, %(since)s) AS at,
    ARRAY[
        sum(runs[1]), sum(runs[2]), sum(runs[3]), sum(runs[4]), sum(runs[5]), sum(runs[6]),
        sum(runs[7]), sum(runs[8]), sum(runs[9]), sum(runs[10]), sum(runs[11]), sum(runs[12]),
        sum(runs[13]), sum(runs[14]), sum(runs[15]), sum(runs[16]), sum(runs[17]), sum(runs[18]),
        sum(runs[19]), sum(runs[20]), sum(runs[21]), sum(runs[22]), sum(runs[23]), sum(runs[24])
    ]::bigint[] AS runs
FROM {schema}.metrics
WHERE minute >= %(since)s
    AND minute < %(until)s
    AND date_bin(%(chart_every)s * interval '1 minute', minute, to_timestamp(0)) = minute
    AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
GROUP BY 1
ORDER BY 1
