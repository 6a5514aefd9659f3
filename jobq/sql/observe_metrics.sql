-- What ended in a period, by queue and class: from some hundred rows a queue and class, never from the history. An element of
-- an array is added up at the price of a column, which unnest() is not.
SELECT
    queue, job_class,
    sum(successful)::bigint AS successful, sum(errored)::bigint AS errored, sum(cancelled)::bigint AS cancelled,
    sum(deferred)::bigint AS deferred, sum(lost)::bigint AS lost, sum(retried)::bigint AS retried,
    ARRAY[
        sum(waits[1]), sum(waits[2]), sum(waits[3]), sum(waits[4]), sum(waits[5]), sum(waits[6]),
        sum(waits[7]), sum(waits[8]), sum(waits[9]), sum(waits[10]), sum(waits[11]), sum(waits[12]),
        sum(waits[13]), sum(waits[14]), sum(waits[15]), sum(waits[16]), sum(waits[17]), sum(waits[18]),
        sum(waits[19]), sum(waits[20]), sum(waits[21]), sum(waits[22]), sum(waits[23]), sum(waits[24])
    ]::bigint[] AS waits,
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
GROUP BY queue, job_class
ORDER BY queue, job_class
