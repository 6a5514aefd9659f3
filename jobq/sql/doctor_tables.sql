-- Dead rows, and when they were last cleared away.
SELECT
    stat.relname AS name, stat.n_live_tup AS live, stat.n_dead_tup AS dead,
    extract(epoch FROM statement_timestamp() - greatest(stat.last_vacuum, stat.last_autovacuum))::float8 AS vacuumed_seconds
FROM pg_stat_user_tables AS stat
WHERE stat.schemaname = %(schema)s AND stat.relname IN ('jobs', 'workers', 'queues', 'metrics', 'schedules')
