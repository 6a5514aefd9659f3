-- Notes the claims of jobs that somebody has set running by hand, so that they are found, and rescued, like others. Reads
-- the whole table: no index knows what runs.
INSERT INTO {schema}.claims (worker_id, job_ids)
SELECT worker_id, array_agg(id)
FROM {schema}.jobs
WHERE worker_id IS NOT NULL AND (worker_id, id) NOT IN (SELECT claims.worker_id, unnest(job_ids) FROM {schema}.claims)
GROUP BY worker_id
RETURNING worker_id, cardinality(job_ids)
