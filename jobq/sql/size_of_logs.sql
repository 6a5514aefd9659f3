-- How many bytes on disk the lines of today take, compressed and with their indexes: what no partition took counts too.
SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
    AND relname IN ('logs_default', 'logs_' || to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD'))
