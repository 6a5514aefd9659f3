-- Acts on so many jobs that not all of them are named, since a moment, the latest first: a job that is none of the named
-- may be one of the others. By the index on the time; there are as many rows as acts.
SELECT
    id, at, ended_at, who, database_user, verb, selection, affected, ids, names, undoes, undone_at,
    extract(epoch FROM statement_timestamp() - ended_at)::float8 AS seconds_ago
FROM {schema}.audit
WHERE at >= %(since)s AND cardinality(ids) > 0 AND affected > cardinality(ids) AND NOT ids @> ARRAY[%(job_id)s::bigint]
ORDER BY at DESC
LIMIT %(limit)s
