-- Adds many jobs in one statement; a row whose unique key is held (in the table, or by an earlier row of the
-- same batch) is left out, never the whole batch. Their ids were drawn before (draw_ids.sql), so that
-- rows can go in by another order than the one in which they are served: that of their keys. Two batches
-- that meet then wait for each other one way only, and neither falls to a deadlock.
WITH given AS (
    SELECT
        id, place, job_class, arguments, queue, priority, retries, unique_key, source, trace_context,
        coalesce(run_at, statement_timestamp() + delay * interval '1 second') AS run_at,
        timeout, coalesce(expires_at, statement_timestamp() + expires_in * interval '1 second') AS expires_at,
        has_abort_hook
    FROM unnest(
        %(ids)s::bigint[], %(job_classes)s::text[], %(arguments)s::text[], %(queues)s::text[],
        %(priorities)s::smallint[], %(retries)s::integer[], %(unique_keys)s::text[], %(sources)s::text[], %(trace_contexts)s::text[],
        %(run_ats)s::text[]::timestamptz[], %(delays)s::float8[], %(timeouts)s::real[], %(expires_ats)s::text[]::timestamptz[],
        %(expires_ins)s::float8[], %(abort_hooks)s::boolean[]
    ) WITH ORDINALITY AS row (
        id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, delay,
        timeout, expires_at, expires_in, has_abort_hook, place
    )
), added AS (
    INSERT INTO {schema}.jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, state,
         timeout, expires_at, has_abort_hook)
    SELECT
        id, job_class, arguments::jsonb, queue, priority, retries, unique_key, source, trace_context::jsonb,
        run_at, CASE WHEN run_at > statement_timestamp() THEN 'scheduled' ELSE 'pending' END,
        timeout, expires_at, has_abort_hook
    FROM given
    ORDER BY place
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, state, queue, enqueued_at, run_at, expires_at
), woken AS (
    SELECT pg_notify(%(channel)s::text, queue)
    FROM (SELECT DISTINCT queue FROM added) AS touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
)
SELECT
    id, state, (extract(epoch FROM enqueued_at) * 1000000)::bigint AS enqueued_at,
    (extract(epoch FROM run_at) * 1000000)::bigint AS run_at,
    (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_at,
    (SELECT count(*) FROM woken) AS notified
FROM added
