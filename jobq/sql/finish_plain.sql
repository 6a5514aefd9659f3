-- Ends attempts as finish.sql does, where all of them were successful and have nothing more to say: nearly all are so, and
-- what is rare (values, errors, owed hooks) is a tenth of the cost of that statement even where it is null.
WITH ended AS (
    DELETE FROM {schema}.jobs
    USING unnest(
        %(ids)s::text::bigint[], %(attempts)s::text::integer[], %(start_ages)s::text::float8[],
        %(end_ages)s::text::float8[], %(cpu_microseconds)s::text::bigint[], %(peak_memories)s::text::integer[]
    ) AS report (id, attempt, start_age, end_age, cpu_microseconds, peak_memory)
    WHERE jobs.id = report.id
        AND jobs.attempt = report.attempt
        AND coalesce(jobs.worker_id, 0) = %(worker_id)s::bigint
    RETURNING
        jobs.id, jobs.attempt,
        statement_timestamp() - report.end_age * interval '1 second' AS ended_at,
        statement_timestamp() - report.start_age * interval '1 second' AS started_at,
        jobs.enqueued_at, jobs.run_at, jobs.worker_id, jobs.retries, jobs.priority,
        jobs.queue, jobs.job_class, jobs.arguments, jobs.unique_key, jobs.source, jobs.trace_context,
        report.cpu_microseconds / 1000000.0::float8 AS cpu_seconds, report.peak_memory,
        jobs.gate, jobs.lane, jobs.timeout, jobs.has_abort_hook
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried, outcome,
         queue, job_class, arguments, unique_key, source, trace_context,
         cpu_seconds, peak_memory_kilobytes, timeout, has_abort_hook, gate, lane)
    SELECT
        id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, false, 'successful',
        queue, job_class, arguments, unique_key, source, trace_context,
        cpu_seconds, peak_memory, timeout, has_abort_hook, gate, lane
    FROM ended
)
SELECT
    extract(epoch FROM date_bin('1 minute', ended_at, to_timestamp(0)))::bigint AS minute, queue, job_class,
    'successful' AS outcome, false AS retried,
    width_bucket(date_part('epoch', started_at - run_at), {bounds}) AS wait_bucket,
    width_bucket(date_part('epoch', ended_at - started_at), {bounds}) AS run_bucket,
    count(*) AS attempts,
    max(date_part('epoch', started_at - run_at)) AS longest_wait,
    max(date_part('epoch', ended_at - started_at)) AS longest_run
FROM ended
GROUP BY 1, 2, 3, 6, 7
