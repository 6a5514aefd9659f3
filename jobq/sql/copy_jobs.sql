-- Takes many jobs at once. COPY knows no ON CONFLICT: only jobs without a unique key come this way.
COPY {schema}.jobs
    (id, arguments, job_class, queue, priority, retries, source, trace_context, state, enqueued_at, run_at, expires_at,
     timeout, has_abort_hook)
FROM STDIN (ENCODING 'UTF8')
