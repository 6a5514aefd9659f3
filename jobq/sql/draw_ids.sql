-- Ids for jobs that are about to be added, ascending: first come stays first served. And the time by which those of a
-- COPY are due that are not due at once: the database's, as everywhere.
-- The sequence is looked up once (hence OFFSET): for each id, that took eight times as long as the id itself.
SELECT coalesce(array_agg(nextval(sequence)), '{}'), (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
FROM (SELECT pg_get_serial_sequence(%(table)s::text, 'id')::regclass AS sequence OFFSET 0) AS found
CROSS JOIN generate_series(1, %(count)s::bigint)
