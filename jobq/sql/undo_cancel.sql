-- Puts cancelled jobs back as they were, and takes the record of their cancellation out of the history. The record is
-- locked first: one that was retried or purged since is left as it is, and so is a job whose unique key is held by now, or whose
-- row was too large to be kept.
-- They go in by the order of their keys, as by all who add several.
WITH cancelled AS (
    SELECT results.id, results.attempt, results.ended_at, kept.row
    FROM {schema}.kept
    JOIN {schema}.results ON results.id = kept.id AND results.attempt = least(kept.attempt, 2147483646) + 1
    WHERE kept.act = %(act)s
        AND kept.row IS NOT NULL
        AND kept.id = ANY (%(ids)s::bigint[])
        AND results.outcome = 'cancelled'
        AND NOT results.retried
    ORDER BY results.id
    FOR UPDATE OF results
), put_back AS (
    INSERT INTO {schema}.numbered_jobs
    SELECT job.*
    FROM cancelled
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.numbered_jobs, cancelled.row) AS job
    ORDER BY job.job_class COLLATE "C", job.unique_key COLLATE "C", job.id
    ON CONFLICT DO NOTHING
    RETURNING id, queue, gate
), removed AS (
    DELETE FROM {schema}.results
    USING cancelled
    JOIN put_back USING (id)
    WHERE results.id = cancelled.id
        AND results.attempt = cancelled.attempt
        AND results.ended_at = cancelled.ended_at
), told_no_more AS (
    -- Where on_aborted() has been called already, that cannot be undone.
    DELETE FROM {schema}.aborts
    USING cancelled
    JOIN put_back USING (id)
    WHERE aborts.job_id = cancelled.id AND aborts.attempt = cancelled.attempt AND aborts.worker_id IS NULL
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT DISTINCT {touched} FROM put_back) AS touched
    WHERE {somebody_waits}
)
SELECT id, (SELECT count(*) FROM woken) AS notified
FROM put_back
