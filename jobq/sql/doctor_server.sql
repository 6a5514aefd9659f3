-- Who answers.
SELECT
    current_setting('server_version') AS version, current_database() AS database, session_user AS role,
    pg_is_in_recovery() AS is_standby, clock_timestamp() AS at, current_setting('max_connections')::integer AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections
