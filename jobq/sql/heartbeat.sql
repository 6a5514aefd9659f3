-- No row: this worker was declared dead in the meantime, and owns nothing any more. With the answer it hears whether
-- somebody wants it to stop, at the price of no statement more.
UPDATE {schema}.workers
SET heartbeat_at = statement_timestamp(),
    status = %(status)s::jsonb,
    stopping_at = CASE WHEN (%(status)s::jsonb -> 'stopping')::boolean THEN coalesce(stopping_at, statement_timestamp()) END
WHERE id = %(worker_id)s AND stopped_at IS NULL
RETURNING stop_requested_by
