-- Takes many jobs at once that are due at once, as copy_jobs.sql does. Their times are the columns' defaults: that of this
-- statement. To read them from the text took a third of the whole.
COPY {schema}.jobs
    (id, arguments, job_class, queue, priority, retries, source, trace_context, timeout, has_abort_hook)
FROM STDIN (ENCODING 'UTF8')
