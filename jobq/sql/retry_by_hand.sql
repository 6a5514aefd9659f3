-- Queues finished jobs again under their own ids. The row of the last attempt is locked first: of two operators
-- who retry the same jobs, the second finds them taken. A job whose unique key is held by now is left as it is;
-- so is one that is in the queue again. Its time to expire is not asked again: somebody wants it now.
-- One more attempt is allowed than were made, and the losses start anew. They go in by the order of their keys, as by all
-- who add several: two that add the same keys then wait for each other one way only.
-- Where the caller says which attempt was seen as the last one, a job that has run again since is left as it is.
WITH last AS (
    SELECT results.*
    FROM {schema}.results
    WHERE id = ANY (%(ids)s::bigint[])
        AND NOT retried
        AND coalesce((%(attempts)s::integer[])[array_position(%(ids)s::bigint[], id)], attempt) = attempt
    ORDER BY id
    FOR UPDATE
), queued AS (
    INSERT INTO {schema}.numbered_jobs
        (id, job_class, arguments, queue, priority, attempt, retries, unique_key, source, trace_context,
         timeout, has_abort_hook, run_at, gate, lane, is_due)
    SELECT
        id, job_class, arguments, queue, priority, attempt, greatest(retries, attempt), unique_key, source,
        trace_context, timeout, has_abort_hook, statement_timestamp(), gate, lane, CASE WHEN gate IS NULL THEN true END
    FROM last
    ORDER BY job_class COLLATE "C", unique_key COLLATE "C", id
    ON CONFLICT DO NOTHING
    RETURNING id, queue, attempt, gate
), marked AS (
    UPDATE {schema}.results
    SET retried = true
    FROM last
    JOIN queued USING (id)
    WHERE results.id = last.id AND results.attempt = last.attempt AND results.ended_at = last.ended_at
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT DISTINCT {touched} FROM queued) AS touched
    WHERE {somebody_waits}
)
SELECT id, attempt, (SELECT count(*) FROM woken) AS notified
FROM queued
