-- Workers that were declared dead a short while ago.
SELECT {worker_name} AS name, extract(epoch FROM statement_timestamp() - heartbeat_at)::float8 AS silent_seconds
FROM {schema}.workers
WHERE stop_reason = 'silent' AND stopped_at > statement_timestamp() - %(lately)s * interval '1 second'
ORDER BY heartbeat_at DESC
LIMIT 20
