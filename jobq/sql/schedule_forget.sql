-- Forgets schedules that nobody has declared for so long, with all that was set on them. One that is locked stays for now.
DELETE FROM {schema}.schedules
WHERE name IN (
    SELECT name
    FROM {schema}.schedules
    WHERE undeclared_at < statement_timestamp() - %(days)s * interval '1 day'
    FOR UPDATE SKIP LOCKED
)
RETURNING name
