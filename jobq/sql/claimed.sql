-- What this worker holds: asked after a connection was lost while the answer of a claim was under way.
SELECT id, attempt, excused, losses, retries, priority, queue, job_class, arguments::text
FROM {schema}.jobs
WHERE state = 'running' AND worker_id = %(worker_id)s
