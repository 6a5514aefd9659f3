-- Deletes the history of finished jobs, a chunk at a time: every attempt of each job, and no job that is unfinished.
WITH chosen AS (
    SELECT id
    FROM {schema}.results
    WHERE id = ANY (%(ids)s::bigint[])
        AND NOT retried
        AND NOT EXISTS (SELECT FROM {schema}.jobs WHERE jobs.id = results.id)
)
DELETE FROM {schema}.results
USING (SELECT DISTINCT id FROM chosen) AS finished
WHERE results.id = finished.id
RETURNING results.id
