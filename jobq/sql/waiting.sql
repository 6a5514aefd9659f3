-- Says that this worker sleeps (enqueuers then notify) or has enough to do (they need not).
UPDATE {schema}.workers SET waiting = %(waiting)s WHERE id = %(worker_id)s AND stopped_at IS NULL
RETURNING id
