-- For tests: the command that empties every table, but for that of the migrations.
SELECT 'TRUNCATE ' || string_agg(format('%%I.%%I', nspname, relname), ', ')
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(schema)s::text AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'migrations'
