SELECT
    results.attempt, results.outcome, results.retried, results.started_at, results.ended_at,
    coalesce(workers.host || '/' || workers.pid, results.worker_id::text) AS worker,
    results.error_type, results.error_message, results.traceback, results.value
FROM {schema}.results
LEFT JOIN {schema}.workers ON workers.id = results.worker_id
WHERE results.id = %(id)s
ORDER BY results.attempt, results.ended_at
