-- Takes the history of finished jobs out of sight, a chunk at a time: every attempt of each job, and no job that is
-- unfinished. The rows are kept whole for a while, in case the act is undone, and deleted later; of rows
-- that are too large for that (see cancel.sql) nothing is kept. As JSON, so that
-- a column added to the history needs no second place. A job's end is locked first, as by whoever queues it again: of the
-- two the second finds it gone. Where the caller says which attempt was seen as the last one, a job that has run again
-- since is left as it is.
WITH chosen AS (
    SELECT id
    FROM {schema}.results
    WHERE id = ANY (%(ids)s::bigint[])
        AND NOT retried
        AND coalesce((%(attempts)s::integer[])[array_position(%(ids)s::bigint[], id)], attempt) = attempt
    ORDER BY id
    FOR UPDATE
), removed AS (
    DELETE FROM {schema}.results
    USING chosen
    WHERE results.id = chosen.id
    RETURNING
        results.id, results.attempt,
        CASE
            WHEN coalesce(pg_column_size(source), 0) + coalesce(pg_column_size(trace_context), 0)
                + coalesce(pg_column_size(value), 0) + coalesce(pg_column_size(error_message), 0)
                + coalesce(pg_column_size(traceback), 0) <= 200000
                AND (pg_column_size(arguments) <= 200000 OR pg_column_size(arguments || '{}') <= 100000000)
            THEN to_jsonb(results.*)
        END AS row
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT %(act)s, id, attempt, row
    FROM removed
)
SELECT DISTINCT id FROM removed
