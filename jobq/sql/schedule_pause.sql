-- From now on the ticks of these schedules pass without a job. One that is paused already stays so by whom it was.
UPDATE {schema}.schedules
SET paused_at = statement_timestamp(), paused_by = %(paused_by)s
WHERE name = ANY (%(names)s::text[]) AND paused_at IS NULL
RETURNING name
