-- What ended in a period, by queue and class: from some hundred rows a queue and class, never from the history. A histogram is
-- one number (see jobq/histograms.py): sum() adds them up at the price of one column.
SELECT
    queue, job_class,
    sum(successful)::bigint AS successful, sum(errored)::bigint AS errored, sum(cancelled)::bigint AS cancelled,
    sum(deferred)::bigint AS deferred, sum(lost)::bigint AS lost, sum(retried)::bigint AS retried,
    sum(waits) AS waits, max(longest_wait) AS longest_wait,
    sum(runs) AS runs, max(longest_run) AS longest_run
FROM {schema}.all_metrics
WHERE at >= %(since)s
    AND at < %(until)s
    AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    AND (%(job_class)s::text IS NULL OR job_class = %(job_class)s)
GROUP BY queue, job_class
ORDER BY queue, job_class
