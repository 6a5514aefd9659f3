-- Attempts as in observe_attempts.sql, without what belongs to others: values, messages, tracebacks, who ran them.
SELECT
    results.id, results.attempt, results.outcome, results.retried, results.started_at, results.ended_at,
    results.error_type, results.cpu_seconds, results.peak_memory_kilobytes::bigint * 1024 AS peak_memory_bytes,
    results.enqueued_at, results.run_at
FROM {schema}.results
WHERE results.id = ANY (%(ids)s::bigint[]) AND (%(every)s::boolean OR NOT results.retried)
ORDER BY results.id, results.attempt, results.ended_at
