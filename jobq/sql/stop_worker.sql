UPDATE {schema}.workers
SET stopped_at = statement_timestamp(), stop_reason = 'stopped', waiting = false
WHERE id = %(worker_id)s AND stopped_at IS NULL
RETURNING id
