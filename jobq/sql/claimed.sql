-- What this worker holds: asked after a connection was lost while the answer of a claim was under way.
SELECT id, attempt, excused, losses, retries, priority,
    (date_part('epoch', enqueued_at) * 1000000)::bigint, queue, job_class, arguments::text, timeout
FROM {schema}.jobs
WHERE state = 'running' AND worker_id = %(worker_id)s
