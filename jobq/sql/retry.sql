-- Ends attempts that another follows: the record of the attempt and the job's return to the queue are one
-- statement, so there is nothing to sweep up afterwards. The same fence as in finish.sql.
-- An excused attempt (lost, cut off) does not count against the job's retries;
-- a counted loss brings it nearer to its limit of losses. What was recorded is counted as in finish.sql.
WITH ended AS (
    SELECT jobs.*, report.outcome, report.start_age, report.end_age, report.error_type, report.error_message,
        report.traceback, report.delay, report.excuse, report.loss, report.fingerprint, report.frame,
        statement_timestamp() - report.end_age * interval '1 second' AS ended_at,
        statement_timestamp() - report.start_age * interval '1 second' AS began_at
    FROM {schema}.jobs
    JOIN unnest(
        %(ids)s::bigint[], %(attempts)s::integer[], %(outcomes)s::text[], %(start_ages)s::float8[],
        %(end_ages)s::float8[], %(error_types)s::text[], %(error_messages)s::text[], %(tracebacks)s::text[],
        %(delays)s::float8[], %(excuses)s::integer[], %(losses)s::integer[],
        %(fingerprints)s::text[], %(frames)s::text[]
    ) AS report (
        id, attempt, outcome, start_age, end_age, error_type, error_message, traceback, delay, excuse, loss,
        fingerprint, frame
    ) ON jobs.id = report.id AND jobs.attempt = report.attempt
    WHERE jobs.worker_id IS NOT DISTINCT FROM %(worker_id)s
    ORDER BY jobs.id
    FOR UPDATE OF jobs
), requeued AS (
    UPDATE {schema}.jobs
    SET state = CASE WHEN ended.delay > 0 THEN 'scheduled' ELSE 'pending' END,
        run_at = statement_timestamp() + ended.delay * interval '1 second',
        excused = jobs.excused + ended.excuse,
        losses = jobs.losses + ended.loss,
        worker_id = NULL,
        started_at = NULL,
        cancel_requested_at = NULL
    FROM ended
    WHERE jobs.id = ended.id
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried,
         outcome, queue, job_class, arguments, unique_key, source, trace_context,
         error_type, error_message, traceback, fingerprint, frame)
    SELECT
        id, attempt, ended_at, began_at, enqueued_at, run_at, worker_id, retries, priority, true,
        outcome, queue, job_class, arguments, unique_key, source, trace_context,
        error_type, error_message, traceback, fingerprint, frame
    FROM ended
), woken AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM (SELECT DISTINCT queue FROM ended) AS touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting)
)
SELECT
    date_bin('1 minute', ended_at, to_timestamp(0)) AS minute, queue, job_class, outcome, true AS retried,
    width_bucket(began_at - run_at, {bounds}) AS wait_bucket,
    width_bucket(ended_at - began_at, {bounds}) AS run_bucket,
    count(*) AS attempts, (SELECT count(*) FROM woken) AS notified
FROM ended
GROUP BY 1, 2, 3, 4, 6, 7
