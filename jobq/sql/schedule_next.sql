-- The schedules whose ticks come next, paused ones too: their ticks pass without a job, so that they stay up to date.
-- Of those that are due at one time each worker begins with others, so that several share the work.
SELECT name, expression, timezone, missed, next_at, statement_timestamp(), unique_key IS NOT NULL
FROM {schema}.schedules
WHERE undeclared_at IS NULL
    AND next_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM unnest(%(left_out)s::text[]) AS out (name) WHERE out.name = schedules.name)
ORDER BY next_at, hashtextextended(name, %(seed)s)
LIMIT %(limit)s
