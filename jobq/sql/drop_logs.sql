-- Drops the lines of attempts that ended well after some of them had been sent.
DELETE FROM {schema}.logs
USING unnest(%(job_ids)s::bigint[], %(attempts)s::integer[]) AS ended (id, number)
WHERE job_id = ended.id AND attempt = ended.number
