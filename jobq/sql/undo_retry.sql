-- Takes jobs that were queued again by hand back out of the queue, where no attempt has begun since: their last result
-- is their end again, as it was. A job that was given new arguments since stays: somebody else has enqueued these.
WITH taken AS (
    DELETE FROM {schema}.jobs
    USING {schema}.kept
    WHERE kept.act = %(act)s
        AND kept.id = ANY (%(ids)s::bigint[])
        AND jobs.id = kept.id
        AND jobs.attempt = kept.attempt
        AND jobs.worker_id IS NULL
        AND jobs.replaced_at IS NULL
    RETURNING jobs.id, jobs.attempt
), marked AS (
    UPDATE {schema}.results
    SET retried = false
    FROM taken
    WHERE results.id = taken.id AND results.attempt = taken.attempt AND results.retried
)
SELECT id FROM taken
