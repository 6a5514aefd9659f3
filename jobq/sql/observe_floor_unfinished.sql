-- The id so many jobs below the newest, or below another: the last one of a look. From the primary key alone, so that it
-- costs the same whatever states these jobs have.
SELECT id
FROM {schema}.jobs
WHERE %(below)s::bigint IS NULL OR id < %(below)s::bigint
ORDER BY id DESC
OFFSET %(look)s::bigint - 1
LIMIT 1
