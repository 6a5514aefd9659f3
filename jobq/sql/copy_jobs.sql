-- Takes many jobs at once, with their times. COPY knows no ON CONFLICT: only jobs without a unique key come this way.
COPY {schema}.jobs
    (id, arguments, job_class, queue, priority, retries, source, trace_context, timeout, has_abort_hook,
     gate, lane, is_due, enqueued_at, run_at, expires_at)
FROM STDIN (ENCODING 'UTF8')
