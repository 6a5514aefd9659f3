-- Of reports that found no row to end: those of attempts that have been recorded as successful already, counted as in
-- finish.sql. Asked only then, which is rare; the way in is the index results_job of each partition.
SELECT
    extract(epoch FROM date_bin('1 minute', results.ended_at, to_timestamp(0)))::bigint AS minute, results.queue, results.job_class, results.outcome,
    false AS retried,
    width_bucket(date_part('epoch', results.started_at - results.run_at), {bounds}) AS wait_bucket,
    width_bucket(date_part('epoch', results.ended_at - results.started_at), {bounds}) AS run_bucket,
    count(*) AS attempts,
    max(date_part('epoch', results.started_at - results.run_at)) AS longest_wait,
    max(date_part('epoch', results.ended_at - results.started_at)) AS longest_run
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS report (id, attempt)
JOIN {schema}.results ON results.id = report.id AND results.attempt = report.attempt
WHERE results.worker_id = %(worker_id)s AND results.outcome = 'successful'
GROUP BY 1, 2, 3, 4, 6, 7
