-- Who holds locks on the tables of a schema, the oldest transaction first: what a migration waited for in vain.
SELECT
    activity.pid, activity.application_name AS application, activity.state,
    extract(epoch FROM statement_timestamp() - activity.xact_start)::float8 AS seconds
FROM pg_stat_activity AS activity
WHERE activity.pid <> pg_backend_pid()
    AND activity.xact_start IS NOT NULL
    AND EXISTS (
        SELECT
        FROM pg_locks
        JOIN pg_class ON pg_class.oid = pg_locks.relation
        WHERE pg_locks.pid = activity.pid
            AND pg_locks.granted
            AND pg_class.relnamespace = to_regnamespace(%(schema)s)
    )
ORDER BY activity.xact_start
LIMIT 1
