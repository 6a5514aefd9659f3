-- Adds one job, and wakes a worker if one sleeps.
-- The conflict on the unique index decides who holds a key, whatever races; the loser gets no row, and wakes nobody.
-- NOTIFY takes a lock that serialises commits, so it is sent only where a worker waits for it
-- (a worker that has gone to sleep looks again soon after, for what committed in between). And only where the server's
-- queue of notifications has room: a full one, for which one idle listener elsewhere is enough, fails the commit.
-- It is sent by what the row is answered with: a WITH for each of the two steps took half as long again as the INSERT.
INSERT INTO {schema}.new_jobs
    (job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, is_due,
     timeout, expires_at, has_abort_hook)
SELECT
    %(job_class)s::text, %(arguments)s::text::jsonb, %(queue)s::text, %(priority)s::smallint, %(retries)s::integer,
    %(unique_key)s::text, %(source)s::text, %(trace_context)s::text::jsonb, due.run_at,
    due.run_at <= statement_timestamp(),
    %(timeout)s::real,
    coalesce(
        %(expires_at)s::text::timestamptz,
        statement_timestamp() + %(expires_in)s::float8 * interval '1 second'
    ),
    %(has_abort_hook)s::boolean
FROM (
    SELECT coalesce(
        %(run_at)s::text::timestamptz,
        statement_timestamp() + %(delay)s::float8 * interval '1 second'
    ) AS run_at
) AS due
ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
RETURNING
    id, state, (extract(epoch FROM enqueued_at) * 1000000)::bigint AS enqueued_at,
    (extract(epoch FROM run_at) * 1000000)::bigint AS run_at,
    (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_at,
    CASE
        WHEN {somebody_waits}
            THEN pg_notify(%(channel)s::text, queue)
    END AS notified
