-- Forgets ticks that are older than the results of their jobs, but never the last one of a schedule.
DELETE FROM {schema}.ticks
WHERE fired_at < statement_timestamp() - %(days)s * interval '1 day'
    AND (
        tick_at < (SELECT max(later.tick_at) FROM {schema}.ticks AS later WHERE later.schedule = ticks.schedule)
        OR NOT EXISTS (SELECT FROM {schema}.schedules WHERE schedules.name = ticks.schedule)
    )
RETURNING tick_at
