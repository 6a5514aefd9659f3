-- Adds many jobs in one statement, by the function of that name. Those whose unique keys are held are not answered.
SELECT
    place, id, state, (extract(epoch FROM enqueued_at) * 1000000)::bigint AS enqueued_at,
    (extract(epoch FROM run_at) * 1000000)::bigint AS run_at,
    (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_at
FROM {schema}.enqueue_many(
    %(job_classes)s::text[], %(arguments)s::text[], %(queues)s::text[], %(priorities)s::smallint[],
    %(retries)s::integer[], %(unique_keys)s::text[], %(sources)s::text[], %(trace_contexts)s::text[],
    %(run_ats)s::text[]::timestamptz[], %(delays)s::float8[], %(timeouts)s::real[], %(expires_ats)s::text[]::timestamptz[],
    %(expires_ins)s::float8[], %(abort_hooks)s::boolean[], %(gates)s::text[], %(lanes)s::text[]
)
