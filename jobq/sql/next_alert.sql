-- The next one that is to be told, for one worker alone until the end of its transaction.
SELECT key, kind, text, place, since, over_at, extract(epoch FROM over_at - since)::float8 AS lasted_seconds
FROM {schema}.alerts
WHERE (told_at IS NULL OR over_at IS NOT NULL) AND key <> ALL (%(but)s::text[])
ORDER BY since, key
LIMIT 1
FOR UPDATE SKIP LOCKED
