-- Ids for jobs that are about to be copied, ascending: first come stays first served. And the time by which those are due
-- that are not due at once: the database's, as everywhere. No ids where the role may not choose them, and so not copy.
-- The sequence is looked up once (hence OFFSET): for each id, that took eight times as long as the id itself.
SELECT array_agg(nextval(sequence)), (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
FROM (
    SELECT pg_get_serial_sequence(%(table)s::text, 'id')::regclass AS sequence
    WHERE has_column_privilege(%(table)s::text, 'id', 'INSERT')
    OFFSET 0
) AS found
CROSS JOIN generate_series(1, %(count)s::bigint)
