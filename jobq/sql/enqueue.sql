-- Adds one job, and wakes a worker if one sleeps.
-- The conflict on the unique index decides who holds a key, whatever races; the loser gets no row, and wakes nobody.
-- NOTIFY takes a lock that serialises commits, so it is sent only where a worker waits for it
-- (a worker that has gone to sleep looks again soon after, for what committed in between). And only where the server's
-- queue of notifications has room: a full one, for which one idle listener elsewhere is enough, fails the commit.
-- A job on jobq's own connection is announced to three of the workers that wait, drawn by lot, each on a channel of its
-- own: the first claims it, the others stand by, and no other process wakes up. In a caller's transaction, where there
-- may be thousands, and where none of the three knows the class, or the job is not due or may expire, all workers
-- are told of the queue instead.
-- It is sent by what the row is answered with: a WITH for each of the two steps took half as long again as the INSERT.
INSERT INTO {schema}.new_jobs
    (job_class, arguments, queue, priority, retries, unique_key, source, trace_context, run_at, is_due,
     timeout, expires_at, has_abort_hook, gate, lane)
SELECT
    %(job_class)s::text, %(arguments)s::text::jsonb, %(queue)s::text, %(priority)s::smallint, %(retries)s::integer,
    %(unique_key)s::text, %(source)s::text, %(trace_context)s::text::jsonb, due.run_at,
    CASE WHEN due.run_at > statement_timestamp() THEN false WHEN %(gate)s::text IS NULL THEN true END,
    %(timeout)s::real,
    coalesce(
        %(expires_at)s::text::timestamptz,
        statement_timestamp() + %(expires_in)s::float8 * interval '1 second'
    ),
    %(has_abort_hook)s::boolean, %(gate)s::text, %(lane)s::text
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
        WHEN NOT ({somebody_waits}) THEN NULL
        WHEN %(is_announced)s::boolean AND state = 'pending' AND expires_at IS NULL AND (
            SELECT count(pg_notify(
                %(worker_channel)s::text || named.id,
                json_build_array(new_jobs.id, named.place, new_jobs.queue, new_jobs.job_class)::text
            ))
            FROM (
                SELECT id, row_number() OVER () - 1 AS place
                FROM (
                    SELECT id, class_names
                    FROM {schema}.workers
                    WHERE waiting AND stopped_at IS NULL AND (queues = '{}' OR new_jobs.queue = ANY (queues))
                    ORDER BY random()
                    LIMIT 3
                ) AS drawn
                WHERE new_jobs.job_class = ANY (class_names)
            ) AS named
        ) > 0 THEN NULL
        WHEN %(gate)s::text IS NOT NULL THEN pg_notify({gate_channel}, %(gate)s::text)
        ELSE pg_notify(%(channel)s::text, queue)
    END AS notified
