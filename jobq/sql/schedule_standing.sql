-- Where schedules stand, for acts on them.
SELECT name, expression, timezone, next_at, paused_at, statement_timestamp()
FROM {schema}.schedules
WHERE name = ANY (%(names)s::text[])
