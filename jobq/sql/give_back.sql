-- Puts claimed jobs back that have not started: that was no attempt.
UPDATE {schema}.jobs
SET state = 'pending',
    attempt = jobs.attempt - 1,
    worker_id = NULL,
    started_at = NULL,
    cancel_requested_at = NULL
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS unstarted (id, attempt)
WHERE jobs.id = unstarted.id
    AND jobs.attempt = unstarted.attempt
    AND jobs.worker_id IS NOT DISTINCT FROM %(worker_id)s
RETURNING jobs.id, jobs.queue
