-- What this worker is to stop.
SELECT id, attempt, cancel_requested_by
FROM {schema}.jobs
WHERE worker_id = %(worker_id)s AND cancel_requested_at IS NOT NULL AND state = 'running'
