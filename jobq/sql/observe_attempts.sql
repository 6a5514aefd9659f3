-- The attempts of jobs that have ended, in their order: every one, or only the last of each job that is finished.
SELECT
    results.id, results.attempt, results.outcome, results.retried, results.started_at, results.ended_at,
    coalesce({worker_name}, results.worker_id::text) AS worker, workers.build,
    results.error_type, left(results.error_message, 10000) AS error_message, left(results.traceback, 1000000) AS traceback,
    {schema}.readable(results.value, 1048576) AS value,
    results.cpu_seconds, results.peak_memory_kilobytes::bigint * 1024 AS peak_memory_bytes,
    results.enqueued_at, results.run_at, left(results.source, 1000) AS source
FROM {schema}.results
LEFT JOIN {schema}.workers ON workers.id = results.worker_id
WHERE results.id = ANY (%(ids)s::bigint[]) AND (%(every)s::boolean OR NOT results.retried)
ORDER BY results.id, results.attempt, results.ended_at
