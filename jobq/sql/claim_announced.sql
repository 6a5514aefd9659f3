-- Claims up to `most` jobs from the front of one queue, where one of the jobs that were announced still waits there; where
-- all of them have been taken, one look by their ids is all it costs. Otherwise it is the claim of claim.sql, with
-- all its conditions, for one queue: what waits ahead of an announced job, as of a higher priority, is claimed first.
WITH alive AS MATERIALIZED (
    SELECT id FROM {schema}.workers WHERE id = %(worker_id)s AND stopped_at IS NULL
), chosen AS MATERIALIZED (
    SELECT id
    FROM {schema}.jobs
    WHERE {pending}
        AND queue = %(queue)s::text
        AND (-priority, id) >= (-32767, 0)
        AND job_class = ANY (%(classes)s::text[])
        AND (expires_at IS NULL OR expires_at > statement_timestamp())
        AND EXISTS (SELECT FROM {schema}.jobs WHERE id = ANY (%(ids)s::bigint[]) AND {pending})
        AND EXISTS (SELECT FROM alive)
        AND NOT EXISTS (SELECT FROM {schema}.queues WHERE name = %(queue)s::text AND paused_at IS NOT NULL)
    ORDER BY -priority, id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
), {take_chosen}
