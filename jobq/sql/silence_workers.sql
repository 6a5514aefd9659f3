-- Declares workers dead that have not been heard of for longer than the limit. A database that has itself
-- been down for that long must not take it out on the workers: they get as long again to report.
UPDATE {schema}.workers
SET stopped_at = statement_timestamp(), stop_reason = 'silent', waiting = false
WHERE stopped_at IS NULL
    AND heartbeat_at < statement_timestamp() - %(timeout)s::float8 * interval '1 second'
    AND pg_postmaster_start_time() < statement_timestamp() - %(timeout)s::float8 * interval '1 second'
RETURNING id, host, pid, extract(epoch FROM statement_timestamp() - heartbeat_at)::float8 AS silent_seconds
