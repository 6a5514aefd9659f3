-- What this worker is to stop. Only running jobs have such a request; the state is not asked, since that would let the index
-- of all running jobs be the way in.
SELECT id, attempt, cancel_requested_by
FROM {schema}.jobs
WHERE worker_id = %(worker_id)s AND cancel_requested_at IS NOT NULL
