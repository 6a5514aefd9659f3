-- For tests: all in the schema that reads the time by itself, defaults of columns and functions: the command that has each
-- read the test's clock, and the command that puts it back as it was. Found by what is there, so that a migration to come
-- needs nothing here.
WITH reader AS (
    SELECT
        format('ALTER TABLE %%s ALTER COLUMN %%I SET DEFAULT ', adrelid::regclass, attname) AS beginning,
        pg_get_expr(adbin, adrelid) AS code
    FROM pg_attrdef
    JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    JOIN pg_class ON pg_class.oid = adrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %(schema)s::text
    UNION ALL
    SELECT '', pg_get_functiondef(pg_proc.oid)
    FROM pg_proc
    JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname = %(schema)s::text AND prokind = 'f' AND proname NOT IN ('test_clock', 'test_run')
)
SELECT beginning || replace(code, %(reads)s::text, %(instead)s::text) AS change, beginning || code AS original
FROM reader
WHERE position(%(reads)s::text IN code) > 0
