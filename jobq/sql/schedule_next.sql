-- The schedules whose ticks come next, paused ones too: their ticks pass without a job, so that they stay up to date.
SELECT name, expression, timezone, missed, next_at, statement_timestamp()
FROM {schema}.schedules
WHERE undeclared_at IS NULL AND next_at IS NOT NULL AND name <> ALL (%(left_out)s::text[])
ORDER BY next_at
LIMIT %(limit)s
