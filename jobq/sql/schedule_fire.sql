-- Serves a due tick: moves the schedule on to its next one, enqueues the jobs, and records what became of each tick, in one
-- statement. Who served it first has moved it on, so that `next_at` is no longer what the others saw: they find no row. One
-- who comes while another is at it skips the row, and looks again. No tick up to `last_at` is served again, and the key
-- of `ticks` stands behind that. What was seen also includes what the next tick was calculated from.
-- A class with rules for a held key has its jobs enqueued by them; the tick then goes by the job in which its own ended up.
-- A paused schedule moves on, and nothing else. A worker must declare it at this moment, whatever the last survey found.
WITH due AS MATERIALIZED (
    SELECT *
    FROM {schema}.schedules
    WHERE name = %(name)s
        AND next_at = %(seen_next_at)s
        AND next_at <= statement_timestamp()
        AND expression = %(expression)s
        AND timezone = %(timezone)s
        AND undeclared_at IS NULL
        AND EXISTS (
            SELECT FROM {schema}.workers
            WHERE stopped_at IS NULL AND workers.schedules @> jsonb_build_array(jsonb_build_object('name', %(name)s::text))
        )
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE {schema}.schedules
    SET next_at = %(next_at)s, last_at = greatest(schedules.last_at, %(served_to)s::timestamptz)
    FROM due
    WHERE schedules.name = due.name
), busy AS MATERIALIZED (
    SELECT count(*) > 0 AS is_busy
    FROM (
        SELECT job_id
        FROM {schema}.ticks
        WHERE schedule = %(name)s AND job_id IS NOT NULL
        ORDER BY tick_at DESC
        LIMIT 20
    ) AS latest
    JOIN {schema}.jobs ON jobs.id = latest.job_id
), served AS MATERIALIZED (
    SELECT
        due.*, tick.tick_at, tick.place,
        due.overlap = 'skip' AND (busy.is_busy OR tick.place < cardinality(%(ticks)s::timestamptz[])) AS is_overlapped,
        CASE WHEN due.jitter > 0 THEN random() * due.jitter ELSE 0 END * interval '1 second' AS delay,
        nextval(pg_get_serial_sequence(%(table)s, 'id')::regclass) AS job_id
    FROM due
    CROSS JOIN busy
    CROSS JOIN unnest(%(ticks)s::timestamptz[]) WITH ORDINALITY AS tick (tick_at, place)
    WHERE due.paused_at IS NULL AND tick.tick_at > coalesce(due.last_at, '-infinity')
), added AS (
    INSERT INTO {schema}.numbered_jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, source, run_at, state)
    SELECT
        job_id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, 'schedule ' || name,
        statement_timestamp() + delay, CASE WHEN delay > interval '0' THEN 'scheduled' ELSE 'pending' END
    FROM served
    WHERE NOT is_overlapped AND key_rules IS NULL
    ORDER BY place
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, queue
), ruled AS (
    SELECT jsonb_agg(to_jsonb(job) || key_rules ORDER BY served.place) AS jobs
    FROM served
    CROSS JOIN LATERAL (
        SELECT
            place, job_id AS id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook,
            'schedule ' || name AS source, statement_timestamp() + delay AS run_at
    ) AS job
    WHERE NOT is_overlapped AND key_rules IS NOT NULL
), placed AS MATERIALIZED (
    SELECT held.place, CASE WHEN held.verdict <> 'held' THEN (held.job).id END AS id
    FROM ruled
    CROSS JOIN LATERAL {schema}.enqueue_by_rules(ruled.jobs) AS held
    WHERE ruled.jobs IS NOT NULL
), recorded AS (
    INSERT INTO {schema}.ticks (schedule, tick_at, verdict, passed, job_id)
    SELECT
        served.name, served.tick_at,
        CASE
            WHEN served.is_overlapped THEN 'overlapped'
            WHEN coalesce(added.id, placed.id) IS NULL THEN 'held'
            ELSE 'enqueued'
        END,
        CASE WHEN served.place = 1 THEN %(passed)s::integer ELSE 0 END, coalesce(added.id, placed.id)
    FROM served
    LEFT JOIN added ON added.id = served.job_id
    LEFT JOIN placed ON placed.place = served.place
    UNION ALL
    SELECT due.name, %(served_to)s::timestamptz, 'missed', %(passed)s::integer - 1, NULL
    FROM due
    WHERE due.paused_at IS NULL
        AND cardinality(%(ticks)s::timestamptz[]) = 0
        AND %(served_to)s::timestamptz > coalesce(due.last_at, '-infinity')
    RETURNING tick_at, verdict, job_id
), woken AS (
    SELECT pg_notify(%(channel)s, queue)
    FROM (SELECT DISTINCT queue FROM added) AS touched
    WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
)
SELECT recorded.tick_at, recorded.verdict, recorded.job_id, (SELECT count(*) FROM woken) AS notified
FROM due
LEFT JOIN recorded ON true
ORDER BY recorded.tick_at
