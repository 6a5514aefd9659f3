-- What this worker holds: asked after a connection was lost while the answer of a claim was under way.
SELECT id, attempt, excused, losses, retries, priority,
    (date_part('epoch', enqueued_at) * 1000000)::bigint, queue, job_class, arguments::text, timeout,
    (date_part('epoch', started_at - run_at) * 1000000)::bigint, trace_context::text
FROM {schema}.jobs
WHERE state = 'running' AND worker_id = %(worker_id)s
