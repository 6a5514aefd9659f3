-- Takes up calls of on_aborted() that are owed, of classes that this worker knows. What a worker took up that is gone since is
-- taken up again, but not without end: a call that takes its worker down each time is dropped, and so is one with arguments
-- too large to be read.
WITH chosen AS (
    SELECT aborts.id
    FROM {schema}.aborts
    LEFT JOIN {schema}.workers ON workers.id = aborts.worker_id
    WHERE job_class = ANY (%(classes)s::text[])
        AND (aborts.worker_id IS NULL OR workers.id IS NULL OR workers.stopped_at IS NOT NULL)
    ORDER BY aborts.id
    LIMIT %(limit)s
    FOR UPDATE OF aborts SKIP LOCKED
), told AS MATERIALIZED (
    SELECT
        aborts.id, {schema}.bounded_text(aborts.arguments, %(longest)s::bigint) AS arguments,
        {schema}.bounded_text(aborts.result, %(longest)s::bigint) AS result
    FROM chosen
    JOIN {schema}.aborts USING (id)
), dropped AS (
    DELETE FROM {schema}.aborts USING told
    WHERE aborts.id = told.id AND (tries >= %(max_tries)s OR told.arguments IS NULL OR told.result IS NULL)
)
UPDATE {schema}.aborts
SET worker_id = %(worker_id)s, tries = tries + 1
FROM told
WHERE aborts.id = told.id AND tries < %(max_tries)s AND told.arguments IS NOT NULL AND told.result IS NOT NULL
RETURNING
    aborts.id, aborts.job_id, aborts.attempt, aborts.priority, (date_part('epoch', aborts.enqueued_at) * 1000000)::bigint, aborts.queue,
    aborts.job_class,
    told.arguments, told.result
