-- Acts, the latest first, by key. A condition whose parameter is NULL does not apply.
SELECT
    id, at, ended_at, who, database_user, verb, selection, affected, ids, names, undoes, undone_at,
    extract(epoch FROM statement_timestamp() - ended_at)::float8 AS seconds_ago
FROM {schema}.audit
WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
    AND (%(below)s::bigint IS NULL OR id < %(below)s)
    AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
    AND (%(who)s::text IS NULL OR who = %(who)s)
    AND (
        %(job_id)s::bigint IS NULL OR ids @> ARRAY[%(job_id)s::bigint]
        OR (verb = 'run again' AND selection = 'id:' || %(job_id)s::bigint)
    )
ORDER BY id DESC
LIMIT %(limit)s
