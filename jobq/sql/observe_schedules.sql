-- Every schedule with its last ticks, the youngest first, and what became of their jobs: one row a tick, one for a schedule
-- without any. A tick's job is looked up by its id; its results are no older than the tick, which leaves out the days
-- before it (a day's margin, for a clock that was set back).
SELECT
    schedules.name, schedules.job_class, schedules.arguments, schedules.queue, schedules.expression, schedules.timezone,
    schedules.missed, schedules.overlap, schedules.jitter, schedules.next_at, schedules.undeclared_at, schedules.paused_at,
    schedules.paused_by,
    tick.tick_at, tick.fired_at, tick.by_hand, tick.verdict, tick.passed, tick.job_id,
    coalesce(jobs.state, ended.outcome) AS standing,
    coalesce(jobs.started_at, ended.started_at) AS started_at,
    CASE WHEN jobs.id IS NULL THEN ended.ended_at END AS ended_at
FROM {schema}.schedules
LEFT JOIN LATERAL (
    SELECT tick_at, fired_at, by_hand, verdict, passed, job_id
    FROM {schema}.ticks
    WHERE ticks.schedule = schedules.name
    ORDER BY tick_at DESC
    LIMIT %(runs)s
) AS tick ON true
LEFT JOIN {schema}.jobs ON jobs.id = tick.job_id
LEFT JOIN LATERAL (
    SELECT outcome, started_at, ended_at
    FROM {schema}.results
    WHERE results.id = tick.job_id AND results.ended_at >= tick.fired_at - interval '1 day'
    ORDER BY attempt DESC
    LIMIT 1
) AS ended ON jobs.id IS NULL
WHERE %(names)s::text[] IS NULL OR schedules.name = ANY (%(names)s::text[])
ORDER BY schedules.name, tick.tick_at DESC
