-- Serves due ticks of many schedules: moves each schedule on to its next tick, enqueues the jobs, and records what became of
-- each tick, in one statement. Who served a tick first has moved its schedule on, so that `next_at` is no longer what the
-- others saw: they find no row. A schedule that is locked, by another worker or an operator, is skipped. No tick up to
-- `last_at` is served again, and the key of `ticks` stands behind that. What was seen also includes what the next tick was
-- calculated from.
-- A class with rules for a held key has its jobs enqueued by them; the tick then goes by the job in which its own ended up.
-- A paused schedule moves on, and nothing else. A worker must declare it at this moment, whatever the last survey found;
-- workers that run the same code declare the same, and one of them is read.
-- The name of the schedule goes along with the job where its trace goes: so the child that runs it knows it.
-- Jobs go in by the order of their keys, as in enqueue_many.sql: so no two statements wait for each other crosswise.
WITH given AS MATERIALIZED (
    SELECT *
    FROM unnest(
        %(names)s::text[], %(expressions)s::text[], %(timezones)s::text[], %(seen_next_ats)s::timestamptz[],
        %(next_ats)s::timestamptz[], %(served_tos)s::timestamptz[], %(passed)s::integer[], %(ticks)s::integer[]
    ) AS given (name, expression, timezone, seen_next_at, following_at, served_to, passed, ticks)
), declared AS MATERIALIZED (
    {declared}
), due AS MATERIALIZED (
    SELECT schedules.*, given.following_at, given.served_to, given.passed, given.ticks
    FROM given
    JOIN {schema}.schedules ON schedules.name = given.name
    WHERE schedules.next_at = given.seen_next_at
        AND schedules.next_at <= statement_timestamp()
        AND schedules.expression = given.expression
        AND schedules.timezone = given.timezone
        AND schedules.undeclared_at IS NULL
        AND EXISTS (SELECT FROM declared WHERE declared.name = given.name)
    FOR UPDATE OF schedules SKIP LOCKED
), moved AS (
    UPDATE {schema}.schedules
    SET next_at = due.following_at, last_at = greatest(schedules.last_at, due.served_to)
    FROM due
    WHERE schedules.name = due.name
), busy AS MATERIALIZED (
    SELECT due.name
    FROM due
    WHERE due.overlap = 'skip' AND EXISTS (
        SELECT
        FROM (
            SELECT job_id
            FROM {schema}.ticks
            WHERE schedule = due.name AND job_id IS NOT NULL
            ORDER BY tick_at DESC
            LIMIT 20
        ) AS latest
        JOIN {schema}.jobs ON jobs.id = latest.job_id
    )
), served AS MATERIALIZED (
    SELECT
        due.*, tick.tick_at, tick.place, tick.number,
        due.overlap = 'skip' AND (
            tick.place < due.ticks OR EXISTS (SELECT FROM busy WHERE busy.name = due.name)
        ) AS is_overlapped,
        CASE WHEN due.jitter > 0 THEN random() * due.jitter ELSE 0 END * interval '1 second' AS delay,
        nextval(pg_get_serial_sequence(%(table)s, 'id')::regclass) AS job_id
    FROM due
    JOIN unnest(
        %(tick_names)s::text[], %(tick_ats)s::timestamptz[], %(places)s::integer[]
    ) WITH ORDINALITY AS tick (name, tick_at, place, number) ON tick.name = due.name
    WHERE due.paused_at IS NULL AND tick.tick_at > coalesce(due.last_at, '-infinity')
), added AS (
    INSERT INTO {schema}.numbered_jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, source, trace_context,
         run_at, is_due, gate, lane)
    SELECT
        job_id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, 'schedule ' || name,
        jsonb_build_object('jobq-schedule', name), statement_timestamp() + delay,
        CASE WHEN delay > interval '0' THEN false WHEN gate IS NULL THEN true END, gate, lane
    FROM served
    WHERE NOT is_overlapped AND key_rules IS NULL
    ORDER BY job_class COLLATE "C", unique_key COLLATE "C", number
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, queue, gate
), ruled AS (
    SELECT jsonb_agg(to_jsonb(job) || key_rules ORDER BY served.number) AS jobs
    FROM served
    CROSS JOIN LATERAL (
        SELECT
            number AS place, job_id AS id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook,
            gate, lane,
            'schedule ' || name AS source, jsonb_build_object('jobq-schedule', name) AS trace_context, statement_timestamp() + delay AS run_at
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
        CASE WHEN served.place = 1 THEN served.passed ELSE 0 END, coalesce(added.id, placed.id)
    FROM served
    LEFT JOIN added ON added.id = served.job_id
    LEFT JOIN placed ON placed.place = served.number
    UNION ALL
    SELECT name, served_to, 'missed', passed - 1, NULL
    FROM due
    WHERE paused_at IS NULL AND ticks = 0 AND served_to > coalesce(last_at, '-infinity')
    RETURNING schedule, tick_at, verdict, job_id
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT DISTINCT {touched} FROM added) AS touched
    WHERE {somebody_waits}
)
SELECT due.name, recorded.tick_at, recorded.verdict, recorded.job_id, (SELECT count(*) FROM woken) AS notified
FROM due
LEFT JOIN recorded ON recorded.schedule = due.name
ORDER BY due.name, recorded.tick_at
