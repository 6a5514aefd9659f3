-- Enqueues a schedule's job now, out of turn: its ticks go on as they would have, and a pause does not matter.
WITH chosen AS MATERIALIZED (
    SELECT *, nextval(pg_get_serial_sequence(%(table)s, 'id')::regclass) AS job_id
    FROM {schema}.schedules
    WHERE name = %(name)s AND undeclared_at IS NULL
    FOR UPDATE
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
), added AS (
    INSERT INTO {schema}.numbered_jobs
        (id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, source, run_at, gate,
         lane, is_due)
    SELECT
        job_id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook,
        'schedule ' || name || ', by ' || %(run_by)s, statement_timestamp(), gate, lane, CASE WHEN gate IS NULL THEN true END
    FROM chosen
    CROSS JOIN busy
    WHERE NOT (chosen.overlap = 'skip' AND busy.is_busy) AND chosen.key_rules IS NULL
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id, queue, gate
), ruled AS (
    SELECT jsonb_build_array(to_jsonb(job) || key_rules) AS jobs
    FROM chosen
    CROSS JOIN busy
    CROSS JOIN LATERAL (
        SELECT
            job_id AS id, job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook,
            gate, lane, 'schedule ' || name || ', by ' || %(run_by)s AS source
    ) AS job
    WHERE NOT (chosen.overlap = 'skip' AND busy.is_busy) AND chosen.key_rules IS NOT NULL
), placed AS MATERIALIZED (
    SELECT CASE WHEN held.verdict <> 'held' THEN (held.job).id END AS id
    FROM ruled
    CROSS JOIN LATERAL {schema}.enqueue_by_rules(ruled.jobs) AS held
), enqueued AS (
    SELECT id FROM added UNION ALL SELECT id FROM placed WHERE id IS NOT NULL
), recorded AS (
    INSERT INTO {schema}.ticks (schedule, tick_at, by_hand, verdict, job_id)
    SELECT %(name)s, statement_timestamp(), true, 'enqueued', id
    FROM enqueued
), woken AS (
    SELECT {notify_touched}
    FROM (SELECT {touched} FROM added) AS touched
    WHERE {somebody_waits}
)
SELECT
    enqueued.id,
    CASE
        WHEN enqueued.id IS NOT NULL THEN 'enqueued'
        WHEN chosen.overlap = 'skip' AND busy.is_busy THEN 'overlapped'
        ELSE 'held'
    END AS verdict,
    (SELECT count(*) FROM woken) AS notified
FROM chosen
CROSS JOIN busy
LEFT JOIN enqueued ON true
