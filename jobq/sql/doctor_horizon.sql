-- Who holds back vacuum: the oldest snapshots, whatever keeps them. Rows that died since stay, and every scan that starts
-- at the front of a queue wades through them. Of other roles' sessions only a member of pg_monitor sees more than the pid.
SELECT 'a transaction' AS kind, pid::text AS name, application_name AS application, state,
    extract(epoch FROM statement_timestamp() - coalesce(xact_start, query_start))::float8 AS age_seconds, query
FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
    OR (xact_start IS NOT NULL AND backend_xid IS NOT NULL AND pid <> pg_backend_pid())
UNION ALL
SELECT 'a prepared transaction', gid, NULL, NULL, extract(epoch FROM statement_timestamp() - prepared)::float8, NULL
FROM pg_prepared_xacts
WHERE database = current_database()
UNION ALL
SELECT 'a replication slot', slot_name::text, NULL, CASE WHEN active THEN 'active' ELSE 'inactive' END, NULL, NULL
FROM pg_replication_slots
WHERE (xmin IS NOT NULL OR catalog_xmin IS NOT NULL) AND NOT active
ORDER BY age_seconds DESC NULLS LAST
LIMIT 10
