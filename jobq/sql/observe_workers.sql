SELECT
    workers.id, workers.host, workers.pid, workers.version, workers.processes, workers.queues, workers.started_at,
    extract(epoch FROM statement_timestamp() - workers.heartbeat_at)::float8 AS heartbeat_seconds,
    (SELECT count(*) FROM {schema}.jobs WHERE state = 'running' AND worker_id = workers.id) AS running,
    workers.status, workers.stop_requested_at, workers.stop_requested_by
FROM {schema}.workers
WHERE workers.stopped_at IS NULL
ORDER BY workers.host, workers.pid
