-- Calls off jobs that are not running: they end as cancelled, by whom. One that was claimed in the meantime
-- has a worker, and is left alone. The record counts as the attempt that never began,
-- so that no attempt has two ends. As part of an act they are kept as they were, for its undo: but for rows so large
-- that they would fit into no JSON document. Compression hides a factor of 255 of their sizes, a document has 256 MB.
-- They are locked in the order of ids, as by all who lock several. Where the caller says at which attempt a job was seen,
-- one that was tried since is left alone.
WITH ended AS (
    DELETE FROM {schema}.jobs
    USING (
        SELECT id
        FROM {schema}.jobs
        WHERE id = ANY (%(ids)s::bigint[])
            AND worker_id IS NULL
            AND coalesce((%(attempts)s::integer[])[array_position(%(ids)s::bigint[], id)], attempt) = attempt
        ORDER BY id
        FOR UPDATE
    ) AS waiting
    WHERE jobs.id = waiting.id
    RETURNING jobs.*, format('cancelled by %%s', %(cancelled_by)s::text) AS error_message
), recorded AS (
    INSERT INTO {schema}.results
        (id, attempt, ended_at, enqueued_at, run_at, retries, priority, retried, outcome,
         queue, job_class, arguments, unique_key, source, trace_context, error_type, error_message,
         timeout, has_abort_hook, gate, lane)
    SELECT
        id, least(attempt, 2147483646) + 1, statement_timestamp(), enqueued_at, run_at, retries, priority, false, 'cancelled',
        queue, job_class, arguments, unique_key, source, trace_context, 'Cancelled', error_message,
        timeout, has_abort_hook, gate, lane
    FROM ended
), owed AS (
    INSERT INTO {schema}.aborts (job_id, attempt, enqueued_at, job_class, queue, priority, arguments, result)
    SELECT
        id, least(attempt, 2147483646) + 1, enqueued_at, job_class, queue, priority, arguments,
        (
            SELECT to_jsonb(told)
            FROM (
                SELECT
                    least(ended.attempt, 2147483646) + 1 AS attempt, 'cancelled' AS outcome, false AS retried,
                    statement_timestamp() AS ended_at, 'Cancelled' AS error_type, error_message
            ) AS told
        )
    FROM ended
    WHERE has_abort_hook
), kept AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT
        %(act)s, id, attempt,
        CASE
            WHEN coalesce(pg_column_size(source), 0) + coalesce(pg_column_size(trace_context), 0)
                + coalesce(pg_column_size(progress), 0) + coalesce(pg_column_size(follow_up), 0) <= 200000
                AND (pg_column_size(arguments) <= 200000 OR pg_column_size(arguments || '{}') <= 100000000)
            THEN to_jsonb(ended) - 'error_message'
        END
    FROM ended
    WHERE %(act)s::bigint IS NOT NULL
)
SELECT
    id, date_bin('1 minute', statement_timestamp(), to_timestamp(0)) AS minute, queue, job_class
FROM ended
