-- Jobs that somebody has set running by hand: no claim names them, so no look finds that they run, nor a rescue, until a
-- worker notes them (note_claims.sql). Reads the whole table: no index knows what runs.
SELECT count(*) AS jobs, max(id) AS example
FROM {schema}.jobs
WHERE worker_id IS NOT NULL
    AND (worker_id, id) NOT IN (SELECT claims.worker_id, unnest(claims.job_ids) FROM {schema}.claims)
HAVING count(*) > 0
