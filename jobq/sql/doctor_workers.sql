-- Workers that are silent but not declared dead yet, and those declared dead a short while ago.
SELECT
    host || '/' || pid AS name, version, stopped_at IS NOT NULL AS is_dead,
    extract(epoch FROM statement_timestamp() - heartbeat_at)::float8 AS silent_seconds,
    (SELECT count(*) FROM {schema}.jobs WHERE state = 'running' AND worker_id = workers.id) AS holds
FROM {schema}.workers
WHERE (stopped_at IS NULL AND heartbeat_at < statement_timestamp() - %(silent)s * interval '1 second')
    OR (stop_reason = 'silent' AND stopped_at > statement_timestamp() - %(lately)s * interval '1 second')
ORDER BY heartbeat_at DESC
LIMIT 20
