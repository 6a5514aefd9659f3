-- Takes the history of finished jobs out of sight, a chunk at a time: every attempt of each job, and no job that is
-- unfinished. The rows are kept whole for a while, in case the act is undone, and deleted later. As JSON, so that
-- a column added to the history needs no second place. A job's end is locked first, as by whoever queues it again: of the
-- two the second finds it gone.
WITH chosen AS (
    SELECT id
    FROM {schema}.results
    WHERE id = ANY (%(ids)s::bigint[]) AND NOT retried
    ORDER BY id
    FOR UPDATE
), removed AS (
    DELETE FROM {schema}.results
    USING chosen
    WHERE results.id = chosen.id
    RETURNING results.id, results.attempt, to_jsonb(results.*) AS row
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row)
    SELECT %(act)s, id, attempt, row
    FROM removed
)
SELECT DISTINCT id FROM removed
