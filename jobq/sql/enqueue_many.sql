-- Adds many jobs in one statement; a row whose unique key is held (in the table, or by an earlier row of the
-- same batch) is left out, never the whole batch. Ids are drawn in the order given, so that
-- first come stays first served, and so that the answer can name each row's place.
WITH given AS MATERIALIZED (
    SELECT
        nextval((SELECT pg_get_serial_sequence(%(table)s, 'id')::regclass)) AS id,
        place, job_class, arguments, queue, priority, retries, unique_key, source, trace_context,
        coalesce(run_at, statement_timestamp() + delay * interval '1 second') AS run_at
    FROM unnest(
        %(job_classes)s::text[], %(arguments)s::text[], %(queues)s::text[], %(priorities)s::smallint[],
        %(retries)s::integer[], %(unique_keys)s::text[], %(sources)s::text[], %(trace_contexts)s::text[],
        %(run_ats)s::timestamptz[], %(delays)s::float8[]
    ) WITH ORDINALITY AS row (
        job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, delay, place
    )
), added AS (
    INSERT INTO {schema}.jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, state)
    SELECT
        id, job_class, arguments::jsonb, queue, priority, retries, unique_key, source, trace_context::jsonb,
        run_at, CASE WHEN run_at > statement_timestamp() THEN 'scheduled' ELSE 'pending' END
    FROM given
    ORDER BY place
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, state, queue, enqueued_at, run_at
), woken AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM (SELECT DISTINCT queue FROM added) AS touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting)
)
SELECT
    given.place - 1 AS place, added.id, added.state, added.enqueued_at, added.run_at,
    (SELECT count(*) FROM woken) AS notified
FROM added
JOIN given USING (id)
