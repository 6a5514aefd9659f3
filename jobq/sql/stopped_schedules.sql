-- Schedules that stopped: a tick is overdue although nobody paused them, or no live worker declares them any more.
SELECT
    name, undeclared_at,
    extract(epoch FROM statement_timestamp() - next_at)::float8 AS overdue_seconds,
    count(*) OVER () AS total
FROM {schema}.schedules
WHERE paused_at IS NULL
    AND (undeclared_at IS NOT NULL OR next_at < statement_timestamp() - %(overdue)s * interval '1 second')
ORDER BY next_at
LIMIT 20
