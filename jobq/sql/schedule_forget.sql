-- Forgets schedules that nobody has declared for so long, with all that was set on them.
DELETE FROM {schema}.schedules
WHERE undeclared_at < statement_timestamp() - %(days)s * interval '1 day'
RETURNING name
