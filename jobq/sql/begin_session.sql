-- Whether this session belongs to one client alone, and took the settings that it was begun with: the server process that
-- answers is the one that greeted. Behind a pooler it is another. Only in a session of its own a limit is set, and only
-- where no administrator has set one: a process that is stopped within a transaction looks alive to the kernel, so its
-- locks are taken from it when a worker would be declared dead. Everything is qualified: nothing is known of the search
-- path of a shared session.
SELECT
    session.is_own,
    CASE
        WHEN
            session.is_own
            AND pg_catalog.current_setting('idle_in_transaction_session_timeout') OPERATOR(pg_catalog.=) '0'
        THEN pg_catalog.set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, false)
    END
FROM (
    SELECT
        pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) %(pid)s::int
        AND pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.=) %(search_path)s::text AS is_own
) AS session
