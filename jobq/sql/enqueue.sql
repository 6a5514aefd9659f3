-- Adds one job, and wakes a worker if one sleeps.
-- The conflict on the unique index decides who holds a key, whatever races; the loser gets no row, and wakes nobody.
-- NOTIFY takes a lock that serialises commits, so it is sent only where a worker waits for it
-- (a worker that has gone to sleep looks again soon after, for what committed in between). And only where the server's
-- queue of notifications has room: a full one, for which one idle listener elsewhere is enough, fails the commit.
-- It is sent by what the row is answered with: a WITH for each of the two steps took half as long again as the INSERT.
INSERT INTO {schema}.jobs
    (job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, state,
     timeout, expires_at, has_abort_hook)
SELECT
    %(job_class)s, %(arguments)s::jsonb, %(queue)s, %(priority)s, %(retries)s, %(unique_key)s,
    %(source)s, %(trace_context)s::jsonb, due.run_at,
    CASE WHEN due.run_at > statement_timestamp() THEN 'scheduled' ELSE 'pending' END,
    %(timeout)s::real,
    coalesce(
        %(expires_at)s::timestamptz,
        statement_timestamp() + %(expires_in)s::float8 * interval '1 second'
    ),
    %(has_abort_hook)s
FROM (
    SELECT coalesce(
        %(run_at)s::timestamptz,
        statement_timestamp() + %(delay)s::float8 * interval '1 second'
    ) AS run_at
) AS due
ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
RETURNING
    id, state, enqueued_at, run_at, expires_at,
    CASE
        WHEN EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
            THEN pg_notify(%(channel)s, queue)
    END AS notified
