WITH running AS (
    SELECT worker_id, count(*) AS jobs FROM {schema}.jobs WHERE {running} GROUP BY worker_id
)
SELECT
    workers.id, {worker_name} AS name, workers.host, workers.pid, workers.version, workers.processes, workers.queues, workers.started_at,
    extract(epoch FROM statement_timestamp() - workers.heartbeat_at)::float8 AS heartbeat_seconds,
    coalesce(running.jobs, 0) AS running,
    workers.status, workers.build, workers.stop_requested_at, workers.stop_requested_by
FROM {schema}.workers
LEFT JOIN running ON running.worker_id = workers.id
WHERE workers.stopped_at IS NULL
ORDER BY workers.host, workers.pid
