-- What this worker holds, by its claims: asked after a connection was lost while the answer of a claim was under way. Large
-- arguments are left out as in claim.sql.
SELECT id, attempt, excused, losses, retries, priority,
    (date_part('epoch', enqueued_at) * 1000000)::bigint, queue, job_class,
    coalesce({schema}.bounded_text(arguments, 65536), ''), timeout,
    (date_part('epoch', started_at - run_at) * 1000000)::bigint,
    {schema}.bounded_text(trace_context, 16384), suspected,
    (SELECT max(claims.id) FROM {schema}.claims WHERE claims.worker_id = %(worker_id)s AND jobs.id = ANY (job_ids))
FROM {schema}.jobs
WHERE worker_id = %(worker_id)s
    AND id = ANY (ARRAY(SELECT unnest(job_ids) FROM {schema}.claims WHERE worker_id = %(worker_id)s))
    AND (place IS NOT NULL) = %(through_gates)s::boolean
