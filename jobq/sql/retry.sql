-- Ends attempts that another follows: the record of the attempt and the job's return to the queue are one
-- statement, so there is nothing to sweep up afterwards. The same fence as in finish.sql.
-- An excused attempt (lost, cut off, deferred) does not count against the job's retries;
-- a counted loss brings it nearer to its limit of losses. After an attempt whose process died, or where nobody knows
-- whether it had begun, the job is suspected (see begin.sql); any other end but a cut clears it.
-- A job whose end somebody has asked for does not run again: this attempt then ends it as cancelled, whatever
-- the attempt itself reported. What was recorded is counted as in finish.sql.
-- At a gate its place is free, but in a strict lane: there the job keeps it until it has ended for good.
-- A job that was enqueued again while it ran runs again with the later arguments: a function changes the row once more,
-- when all of them are back in the queue, and before anybody can claim them.
WITH ended AS (
    SELECT jobs.*, report.start_age, report.end_age, report.error_type, report.traceback, report.delay, report.excuse,
        report.loss, report.cpu_microseconds / 1000000.0::float8 AS cpu_seconds, report.peak_memory, report.aborted,
        CASE WHEN jobs.cancel_requested_at IS NULL THEN report.fingerprint END AS fingerprint, report.frame,
        jobs.cancel_requested_at IS NULL AS retried,
        CASE WHEN jobs.cancel_requested_at IS NULL THEN report.outcome ELSE 'cancelled' END AS outcome,
        CASE
            WHEN jobs.cancel_requested_at IS NULL THEN report.error_message
            ELSE format('cancelled by %%s; ', jobs.cancel_requested_by) || coalesce(report.error_message, report.outcome)
        END AS error_message,
        statement_timestamp() - report.end_age * interval '1 second' AS ended_at,
        statement_timestamp() - report.start_age * interval '1 second' AS began_at
    FROM {schema}.jobs
    JOIN unnest(
        %(ids)s::bigint[], %(attempts)s::integer[], %(outcomes)s::text[], %(start_ages)s::float8[],
        %(end_ages)s::float8[], %(error_types)s::text[], %(error_messages)s::text[], %(tracebacks)s::text[],
        %(delays)s::float8[], %(excuses)s::integer[], %(losses)s::integer[], %(cpu_microseconds)s::bigint[],
        %(peak_memories)s::integer[], %(aborted)s::boolean[], %(fingerprints)s::text[], %(frames)s::text[]
    ) AS report (
        id, attempt, outcome, start_age, end_age, error_type, error_message, traceback, delay, excuse, loss,
        cpu_microseconds, peak_memory, aborted, fingerprint, frame
    ) ON jobs.id = report.id AND jobs.attempt = report.attempt
    WHERE coalesce(jobs.worker_id, 0) = %(worker_id)s
    ORDER BY jobs.id
    FOR UPDATE OF jobs
), requeued AS (
    UPDATE {schema}.jobs
    SET is_due = CASE WHEN ended.delay > 0 THEN false WHEN jobs.gate IS NULL THEN true END,
        place = {place_kept},
        run_at = statement_timestamp() + ended.delay * interval '1 second',
        excused = least(jobs.excused, 2147483646) + ended.excuse,
        losses = least(jobs.losses, 2147483646) + ended.loss,
        worker_id = NULL,
        started_at = NULL,
        progress = NULL,
        suspected = CASE WHEN ended.outcome = 'lost' THEN ended.suspected OR coalesce(ended.error_type, '') <> 'CutOff' OR ended.start_age IS NULL END,
        begun_at = NULL
    FROM ended
    WHERE jobs.id = ended.id AND ended.retried
    RETURNING jobs.id, jobs.follow_up
), stopped AS (
    DELETE FROM {schema}.jobs
    USING ended
    WHERE jobs.id = ended.id AND NOT ended.retried
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, started_at, enqueued_at, run_at, worker_id, retries, priority, retried,
         outcome, queue, job_class, arguments, unique_key, source, trace_context,
         error_type, error_message, traceback, cpu_seconds, peak_memory_kilobytes, timeout, has_abort_hook,
         fingerprint, frame, gate, lane)
    SELECT
        id, attempt, ended_at, began_at, enqueued_at, run_at, worker_id, retries, priority, retried,
        outcome, queue, job_class, arguments, unique_key, source, trace_context,
        error_type, error_message, traceback, cpu_seconds, peak_memory, timeout, has_abort_hook,
        fingerprint, frame, gate, lane
    FROM ended
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, attempt, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(told)
            FROM (
                SELECT
                    attempt, outcome, retried, began_at AS started_at, ended_at, error_type, error_message, traceback
            ) AS told
        )
    FROM ended
    WHERE aborted AND has_abort_hook
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT DISTINCT {touched} FROM ended WHERE retried) AS touched
    WHERE {somebody_waits}
)
SELECT
    extract(epoch FROM date_bin('1 minute', ended_at, to_timestamp(0)))::bigint AS minute, queue, job_class, outcome, retried,
    width_bucket(date_part('epoch', began_at - run_at), {bounds}) AS wait_bucket,
    width_bucket(date_part('epoch', ended_at - began_at), {bounds}) AS run_bucket,
    count(*) AS attempts,
    max(date_part('epoch', began_at - run_at)) AS longest_wait,
    max(date_part('epoch', ended_at - began_at)) AS longest_run,
    (SELECT count(*) FROM woken) AS notified,
    (
        SELECT CASE WHEN count(*) > 0 THEN {schema}.follow_jobs(array_agg(id)) END
        FROM requeued
        WHERE follow_up IS NOT NULL
    ) AS followed
FROM ended
GROUP BY 1, 2, 3, 4, 5, 6, 7
