-- Ends attempts that are the end of their jobs: each leaves the table of jobs for the history in this one
-- statement. Fenced by job, attempt and worker: a late report of a worker that was declared dead
-- finds no row. Ordered by id, so that two statements never wait for each other crosswise.
-- Ages are seconds since the event, measured by the worker's monotonic clock: only the
-- database's clock says what time it was.
-- The worker is compared in a form that no index serves (and only a running job has one): the way in must be
-- the primary key, never a walk over all that this worker has claimed. Nor do statistics serve it: taken while
-- nothing ran, they would say that no row is this worker's, and the whole table be read for each report.
-- A job that ends itself (Job.complete) uses this statement too, on a connection of its own.
-- An attempt that could not see its own end (killed, cancelled before its start) is owed a call of on_aborted().
-- What was recorded is counted here, where queue, class and times are at hand, and comes back as a few rows: only what
-- this statement ended counts, so a report that comes twice or too late is not counted again.
WITH ended AS (
    DELETE FROM {schema}.jobs
    USING unnest(
        %(ids)s::text::bigint[], %(attempts)s::text::integer[], %(outcomes)s::text[], %(start_ages)s::text::float8[],
        %(end_ages)s::text::float8[], %(values)s::text[], %(error_types)s::text[], %(error_messages)s::text[],
        %(tracebacks)s::text[], %(cpu_microseconds)s::text::bigint[], %(peak_memories)s::text::integer[], %(aborted)s::boolean[],
        %(fingerprints)s::text[], %(frames)s::text[]
    ) AS report (
        id, attempt, outcome, start_age, end_age, value, error_type, error_message, traceback,
        cpu_microseconds, peak_memory, aborted, fingerprint, frame
    )
    WHERE jobs.id = report.id
        AND jobs.attempt = report.attempt
        AND coalesce(jobs.worker_id, 0) = %(worker_id)s::bigint
    RETURNING
        jobs.id, jobs.attempt,
        statement_timestamp() - report.end_age * interval '1 second' AS ended_at,
        statement_timestamp() - report.start_age * interval '1 second' AS started_at,
        jobs.enqueued_at, jobs.run_at, jobs.worker_id, jobs.retries, jobs.priority, report.outcome,
        jobs.queue, jobs.job_class, jobs.arguments, jobs.unique_key, jobs.source, jobs.trace_context,
        report.value::jsonb AS value, report.error_type, report.error_message, report.traceback,
        report.cpu_microseconds / 1000000.0::float8 AS cpu_seconds, report.peak_memory,
        jobs.gate, jobs.lane, jobs.timeout, jobs.has_abort_hook, report.aborted, report.fingerprint, report.frame
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, attempt, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(told)
            FROM (
                SELECT attempt, outcome, false AS retried, started_at, ended_at, error_type, error_message, traceback
            ) AS told
        )
    FROM ended
    WHERE aborted AND has_abort_hook
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried, outcome,
         queue, job_class, arguments, unique_key, source, trace_context,
         value, error_type, error_message, traceback, cpu_seconds, peak_memory_kilobytes, timeout, has_abort_hook,
         fingerprint, frame, gate, lane)
    SELECT
        id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, false, outcome,
        queue, job_class, arguments, unique_key, source, trace_context,
        value, error_type, error_message, traceback, cpu_seconds, peak_memory, timeout, has_abort_hook,
        fingerprint, frame, gate, lane
    FROM ended
)
SELECT
    extract(epoch FROM date_bin('1 minute', ended_at, to_timestamp(0)))::bigint AS minute, queue, job_class, outcome, false AS retried,
    width_bucket(date_part('epoch', started_at - run_at), {bounds}) AS wait_bucket,
    width_bucket(date_part('epoch', ended_at - started_at), {bounds}) AS run_bucket,
    count(*) AS attempts,
    max(date_part('epoch', started_at - run_at)) AS longest_wait,
    max(date_part('epoch', ended_at - started_at)) AS longest_run
FROM ended
GROUP BY 1, 2, 3, 4, 6, 7
